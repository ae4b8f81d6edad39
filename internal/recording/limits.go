package recording

// FormatVersion is the version of the format that this package writes, and
// the highest that it reads. docs/format.md lists the versions.
const FormatVersion = 1

// Limits of the format. The writer holds to them and the reader checks every
// declared length against them before it allocates.
const (
	// maxChunk is the limit of a chunk's raw length.
	maxChunk = 64 << 20
	// chunkTarget is the raw length at which the writer seals a chunk.
	chunkTarget = 1 << 20
	// chunkBuffer is the size of the buffers for a chunk: a chunk that is just short of
	// its target takes one more event.
	chunkBuffer = chunkTarget + bigData + chunkTarget/16
	// bigData is the size from which on an event's data begins a chunk of
	// its own, and pieceSize the raw length of the chunks it is split into.
	bigData   = 256 << 10
	pieceSize = chunkTarget
	// maxHead is the limit of an event's encoding without its data, maxData
	// that of the bytes of Mem together.
	maxHead = 16 << 20
	maxData = 4 << 30
	// Counts and lengths of single fields.
	maxBytes    = 8 << 20 // In, Readings, XState, Why, Text and each string
	maxMem      = 1 << 20 // entries of Mem
	maxMappings = 1 << 17 // entries of Maps; vm.max_map_count is 65530
	maxStrings  = 1 << 18 // entries of Argv and of Env
	maxOpen     = 1 << 16 // entries of Open
	// maxQueue is how many bytes may wait for the background goroutine.
	maxQueue = 64 << 20
	// maxImages is how many of them may be of images, which nobody waits for: what
	// reads them from a process goes no faster than they are written.
	maxImages = 4 << 20
	// maxFileCopies is how many files may wait to be copied; each holds a
	// descriptor.
	maxFileCopies = 256
	// blockSize is the raw length of a file's blocks in the store.
	blockSize = 1 << 20
	// maxFile is the limit of one stored file.
	maxFile = 8 << 30
	// maxPath is the limit of its path; in a line of the index, each byte may
	// take six.
	maxPath = 8 << 10
	// maxJSON is the limit of pyrr.json and summary.json, maxIndex that of
	// files/index, maxLine that of one of its lines.
	maxJSON  = 16 << 20
	maxIndex = 64 << 20
	maxLine  = 64 << 10
	// maxStreams and maxFiles limit what one recording may hold.
	maxStreams = 1 << 16
	maxFiles   = 1 << 18
	// Limits of the index of stacks: the length of a text in it, how many
	// texts, frames, nodes and names there are, how deep a stack is.
	maxStackText   = 64 << 10
	maxStackTexts  = 1 << 22
	maxStackTotal  = 256 << 20
	maxStackFrames = 1 << 22
	maxStackNodes  = 1 << 24
	maxStackNames  = 1 << 20
	maxStackDepth  = 1 << 16
	// maxFacts is the limit of the facts of one process, maxAllFacts that of all.
	maxFacts    = 8 << 20
	maxAllFacts = 64 << 20
	// MaxSource is the limit of a source file that is kept, maxSources that
	// of all together.
	MaxSource  = 4 << 20
	maxSources = 256 << 20
)
