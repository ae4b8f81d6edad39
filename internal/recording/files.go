package recording

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"sync"
	"syscall"

	"github.com/klauspost/compress/zstd"

	unix "pyrr/internal/sys"
)

// Files returns the mapped files of the recording in the order of their IDs.
func (r *Recording) Files() []File { return slices.Clone(r.files) }

func (r *Recording) file(id FileID) (File, bool) {
	i, ok := slices.BinarySearchFunc(r.files, id, func(f File, id FileID) int { return int(int64(f.ID) - int64(id)) })
	if !ok {
		return File{}, false
	}
	return r.files[i], true
}

// ReadFile returns the bytes that the recording needs of a mapped file, and
// how many there are (File.Want). They are decompressed where they are read.
// Where the recorder was killed before it had copied all of them, and the
// recording is a folder of who reads it, the original is used if it is still
// the same file, as after PreferOriginals; else the error says what is missing. The reader is an
// io.Closer too, which frees its memory and descriptor early.
func (r *Recording) ReadFile(id FileID) (io.ReaderAt, int64, error) {
	f, ok := r.file(id)
	if !ok {
		return nil, 0, fmt.Errorf("the recording has no file %d", id)
	}
	fail := func(err error) (io.ReaderAt, int64, error) {
		return nil, 0, fmt.Errorf("read file %d (%s) of the recording: %w", id, f.Path, err)
	}
	if f.Want == 0 {
		return &blob{}, 0, nil
	}
	if r.originals && f.Unstable == "" {
		if src, err := r.original(f); err == nil {
			return src, int64(f.Want), nil
		}
	}
	b, err := r.openBlob(f)
	if err != nil {
		return fail(err)
	}
	if b.size >= f.Want {
		return b, int64(f.Want), nil
	}
	defer b.Close()
	if f.Unstable != "" {
		return fail(&NotKeptError{f, b.size, errors.New(f.Unstable)})
	}
	if r.finished() || f.Kept == f.Want {
		return fail(&DamagedError{File: blobName(f.ID), Offset: b.end, Err: fmt.Errorf("holds %d of %d bytes", b.size, f.Want)})
	}
	src, err := r.original(f)
	if err != nil {
		return fail(&NotKeptError{f, b.size, fmt.Errorf("the original can't be used: %w", err)})
	}
	return src, int64(f.Want), nil
}

// NotKeptError says that a recording holds no more than the beginning of a file that
// was mapped: it was changed, or the recorder killed, before more was copied.
type NotKeptError struct {
	File File
	Kept uint64
	Err  error
}

func (e *NotKeptError) Error() string {
	return fmt.Sprintf("%d of %d bytes were kept: %.500s", e.Kept, e.File.Want, e.Err.Error())
}

func (e *NotKeptError) Unwrap() error { return e.Err }

// ReadKept returns the beginning of a file of which ReadFile says NotKeptError, and how
// much that is.
func (r *Recording) ReadKept(id FileID) (io.ReaderAt, int64, error) {
	f, ok := r.file(id)
	if !ok {
		return nil, 0, fmt.Errorf("the recording has no file %d", id)
	}
	b, err := r.openBlob(f)
	if err != nil {
		return nil, 0, fmt.Errorf("read file %d (%s) of the recording: %w", id, f.Path, err)
	}
	return b, int64(min(b.size, f.Want)), nil
}

// PreferOriginals makes ReadFile read the files that were mapped, where they are
// still the same, instead of unpacking what was kept of them: for whoever has just
// made the recording, on the same machine. It is not to be called while others read.
func (r *Recording) PreferOriginals() { r.originals = true }

// Original opens a file that was mapped, where it is still the same and the recording is a
// folder of who reads it.
func (r *Recording) Original(f File) (*os.File, error) { return r.original(f) }

// original opens the file that was mapped, if it is still the same.
func (r *Recording) original(f File) (*os.File, error) {
	if r.root == nil {
		return nil, errors.New("the recording is packed")
	}
	if !filepath.IsAbs(f.Path) {
		return nil, errors.New("it has no path")
	}
	if !r.own {
		return nil, errors.New("the recording belongs to another user")
	}
	src, err := os.OpenFile(f.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(src.Fd()), &st); err != nil {
		src.Close()
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Dev != f.Dev || st.Ino != f.Ino || uint64(st.Size) != f.Size || st.Mtim.Nano() != f.Mtime {
		src.Close()
		return nil, errors.New("it has changed since")
	}
	return src, nil
}

// blob reads the stored bytes of a file.
type blob struct {
	r      *Recording
	name   string
	src    content
	size   uint64 // bytes that whole blocks hold
	end    int64  // where the last whole block ends in src
	stream uint32
	blocks []block
	plain  bool   // src is the file itself, and not chunks
	zeros  []span // what of it is zeros, whatever src holds

	mu    sync.Mutex
	cache [2]cached // most recently used first
}

// block is where a block begins, in the file and in the blob.
type block struct {
	first uint64
	at    int64
}

type cached struct {
	block int
	raw   []byte
}

// openBlob reads the headers of a file's blocks. Where the last block is
// cut, the blob ends before it.
func (r *Recording) openBlob(f File) (*blob, error) {
	owner := f.ID
	if f.Same != 0 {
		owner = f.Same
	}
	b := &blob{r: r, name: blobName(owner), stream: uint32(owner)}
	var err error
	if b.src, err = r.lookup(b.name); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if owning, ok := r.file(owner); ok && owning.shareable() && (r.zip != nil || r.finished()) {
			return r.elsewhere(owning)
		}
		return b, nil
	}
	if err := b.scan(); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// scan finds the blocks of a blob.
func (b *blob) scan() error {
	for {
		h, _, err := readChunk(b.src, b.end, magicFile, b.stream, uint32(len(b.blocks)), nil)
		if err == io.EOF {
			return nil
		}
		if err == nil && (h.first != b.size || h.raw > blockSize || h.count != 0 || h.flags&^flagZero != 0 || h.flags != 0 && h.packed != 0) {
			err = fmt.Errorf("block of %d bytes from %d on, where %d has to be", h.raw, h.first, b.size)
		}
		if err != nil {
			return &DamagedError{File: b.name, Offset: b.end, Err: err}
		}
		b.blocks = append(b.blocks, block{h.first, b.end})
		b.size += uint64(h.raw)
		b.end += chunkHeaderSize + int64(h.packed)
	}
}

// ReadAt implements io.ReaderAt; it may be called from several goroutines.
func (b *blob) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for n < len(p) {
		pos := uint64(off) + uint64(n)
		if pos >= b.size {
			return n, io.EOF
		}
		i := sort.Search(len(b.blocks), func(i int) bool { return b.blocks[i].first > pos }) - 1
		raw, err := b.load(i)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], raw[pos-b.blocks[i].first:])
	}
	return n, nil
}

// Close implements io.Closer.
func (b *blob) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cache = [2]cached{}
	return b.src.Close()
}

// blockLen is how many bytes the block i has.
func (b *blob) blockLen(i int) int {
	end := b.size
	if i+1 < len(b.blocks) {
		end = b.blocks[i+1].first
	}
	return int(end - b.blocks[i].first)
}

// load returns the block i, unpacked.
func (b *blob) load(i int) ([]byte, error) {
	c := &b.cache
	if c[0].raw != nil && c[0].block == i {
		return c[0].raw, nil
	}
	if c[1].raw != nil && c[1].block == i {
		c[0], c[1] = c[1], c[0]
		return c[0].raw, nil
	}
	at := b.blocks[i].at
	if b.plain {
		raw := make([]byte, min(blockSize, b.size-b.blocks[i].first))
		if _, err := b.src.ReadAt(raw, at); err != nil {
			return nil, noEOF(err)
		}
		b.blank(raw, b.blocks[i].first)
		c[1], c[0] = c[0], cached{i, raw}
		return raw, nil
	}
	raw, err := b.r.unpackBlock(b.src, at, b.stream, uint32(i))
	if err != nil {
		return nil, &DamagedError{File: b.name, Offset: at, Err: err}
	}
	b.blank(raw, b.blocks[i].first)
	c[1] = c[0]
	c[0] = cached{i, raw}
	return raw, nil
}

// blockDecoder is shared by all blobs of a recording.
type blockDecoder struct {
	mu     sync.Mutex
	dec    *zstd.Decoder
	packed []byte
}

func (r *Recording) unpackBlock(src content, at int64, stream, seq uint32) ([]byte, error) {
	d := &r.blocks
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dec == nil {
		var err error
		if d.dec, err = newDecoder(); err != nil {
			return nil, err
		}
	}
	h, packed, err := readChunk(src, at, magicFile, stream, seq, &d.packed)
	if err != nil {
		return nil, noEOF(err)
	}
	if h.raw > blockSize {
		return nil, errors.New("it changed while it was read")
	}
	return h.unpack(d.dec, packed)
}
