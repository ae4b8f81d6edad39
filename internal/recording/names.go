package recording

// What the names of recordings end in.
const (
	// PackedSuffix is that of the file that is kept.
	PackedSuffix = ".pyrr.zip"
	// PartSuffix is that of the folder that is written while the program runs.
	PartSuffix = ".pyrr.part"
)
