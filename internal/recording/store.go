package recording

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	unix "pyrr/internal/sys"
)

// fileKey is what makes two files the same. Of its times a program can set the one, and
// the number of one that is gone may be another's soon.
type fileKey struct {
	dev, ino, size uint64
	mtime, ctime   int64
}

type contentKey struct {
	sum  string
	size uint64
}

// owner is who has stored a content; e is nil for AddFileBytes.
type owner struct {
	id FileID
	e  *entry
}

// entry is a file of the store while recording.
type entry struct {
	File
	pending bool     // in store.pending
	src     *os.File // while pending
	seq     uint32
	sum     hash.Hash // of Kept bytes
	shared  bool      // another has Same set to this one
	keys    []contentKey
	io      sync.Mutex // held while src is read
	taken   []byte     // what is to be copied from Kept on, if it was read already
	settled bool       // it was, all of it
	data    uint64     // up to there is a hole from Kept on
}

// store copies the mapped files into the recording, in the background.
type store struct {
	w  *Writer
	mu sync.Mutex
	// room is signalled when pending gets shorter.
	room      sync.Cond
	last      FileID
	byKey     map[fileKey]*entry
	byContent map[contentKey]owner
	pending   []*entry
	block     []byte // of the background goroutine
	began     time.Time
	urgent    *entry // somebody waits until it is copied
	taken     uint64 // bytes that entries have taken
}

// copyDelay is how long copying waits: most commands end before, and most
// recordings are not kept. Until a file is copied, a recording whose recorder
// was killed uses the original.
const copyDelay = 300 * time.Millisecond

// A file that has been as it is for settledFor is most probably a library: it
// stays so for settledDelay, too, by when most commands have ended.
const (
	settledFor   = time.Hour
	settledDelay = 5 * time.Second
)

func (st *store) init(w *Writer) {
	st.w = w
	st.began = time.Now()
	st.room.L = &st.mu
	st.byKey = map[fileKey]*entry{}
	st.byContent = map[contentKey]owner{}
}

var errLongPath = fmt.Errorf("store file: its path has more than %d bytes", maxPath)

// AddFile registers a file that the program mapped: its first upto bytes are
// copied in the background, from a duplicate of fd. The same file (device,
// inode, size and times of change) keeps its number; a larger upto extends
// what is kept.
func (w *Writer) AddFile(path string, fd int, st unix.Stat_t, upto uint64) (FileID, error) {
	fail := func(err error) (FileID, error) { return 0, fmt.Errorf("store file %s: %w", path, err) }
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fail(errors.New("not a regular file"))
	}
	if len(path) > maxPath {
		return 0, errLongPath
	}
	upto = min(upto, uint64(st.Size))
	if upto > maxFile {
		return fail(fmt.Errorf("%d bytes are above the limit of %d", upto, uint64(maxFile)))
	}
	key := fileKey{st.Dev, st.Ino, uint64(st.Size), st.Mtim.Nano(), st.Ctim.Nano()}
	s := &w.store
	if (w.held || w.awaits) && s.waiting() >= maxFileCopies {
		w.start()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pending) >= maxFileCopies && w.Err() == nil {
		s.room.Wait()
	}
	if err := w.Err(); err != nil {
		return 0, err
	}
	e := s.byKey[key]
	if e != nil && e.Want >= upto {
		return e.ID, nil
	}
	isNew := e == nil
	if isNew {
		if s.last >= maxFiles {
			return fail(fmt.Errorf("more than %d files", maxFiles))
		}
		e = &entry{File: File{ID: s.last + 1, Path: path, Dev: key.dev, Ino: key.ino, Size: key.size, Mtime: key.mtime}}
	}
	if e.pending {
		// Its last line is written when the copy is complete, and may never be.
		e.Want, e.settled = upto, false
		f := File{ID: e.ID, Path: e.Path, Dev: e.Dev, Ino: e.Ino, Size: e.Size, Mtime: e.Mtime, Want: upto}
		w.q.putLine(job{name: indexName, raw: indexLine(&f), line: true})
		return e.ID, nil
	}
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	if isNew {
		s.last++
		s.byKey[key] = e
	}
	e.src = os.NewFile(uintptr(dup), path)
	e.Want, e.settled = upto, false
	e.pending = true
	// Order matters: the line goes into the queue before the entry is seen
	// to be pending, and step leaves the pending alone while the queue has
	// something. So the line that completes the entry is the later one. A
	// line is short, and its put does not wait for the background goroutine.
	w.q.putLine(job{name: indexName, raw: indexLine(&e.File), line: true})
	s.pending = append(s.pending, e)
	w.q.poke()
	return e.ID, nil
}

// AddFileBytes registers content that is no file's, or no longer, under a
// name. The same content has the same number.
func (w *Writer) AddFileBytes(name string, data []byte) (FileID, error) {
	if err := w.Err(); err != nil {
		return 0, err
	}
	if uint64(len(data)) > maxFile {
		return 0, fmt.Errorf("store %s: %d bytes are above the limit of %d", name, len(data), uint64(maxFile))
	}
	if len(name) > maxPath {
		return 0, errLongPath
	}
	sum := sha256.Sum256(data)
	n := uint64(len(data))
	f := File{Path: name, Size: n, Want: n, Kept: n, SHA256: hex.EncodeToString(sum[:])}
	s := &w.store
	key := contentKey{f.SHA256, n}
	s.mu.Lock()
	o, ok := s.byContent[key]
	if ok && o.e == nil {
		s.mu.Unlock()
		return o.id, nil
	}
	if s.last >= maxFiles {
		s.mu.Unlock()
		return 0, fmt.Errorf("store %s: more than %d files", name, maxFiles)
	}
	s.last++
	f.ID = s.last
	if ok {
		f.Same = o.id
		o.e.shared = true
		data = nil
	} else {
		s.byContent[key] = owner{id: f.ID}
	}
	s.mu.Unlock()

	var seq uint32
	for off := 0; off < len(data); off += blockSize {
		block := data[off:min(off+blockSize, len(data))]
		head := chunkHeader{magic: magicFile, stream: uint32(f.ID), seq: seq, first: uint64(off)}
		w.q.put(job{name: blobName(f.ID), head: head, raw: append(w.q.buffer(true), block...)}, w.Err)
		seq++
	}
	w.q.put(job{name: indexName, raw: indexLine(&f), line: true}, w.Err)
	return f.ID, w.Err()
}

// indexLine is a line of the index: a checksum and a JSON object.
func indexLine(f *File) []byte {
	b, err := json.Marshal(f)
	if err != nil {
		panic(err) // strings and numbers only
	}
	return fmt.Appendf(nil, "%08x %s\n", crc32.Checksum(b, castagnoli), b)
}

// step copies one block of a pending file, in the background goroutine. It
// says whether there was anything to do.
func (st *store) step() bool {
	st.mu.Lock()
	if len(st.pending) == 0 {
		st.mu.Unlock()
		return false
	}
	if !st.nextDue() {
		st.mu.Unlock()
		return false
	}
	e := st.pending[0]
	want := e.Want
	st.mu.Unlock()
	if !st.w.q.empty() {
		return true
	}
	err := st.w.Err()
	if err == nil {
		err = st.copyBlock(e, want)
	}
	var unstable *unstableError
	if err == nil && e.Kept < want {
		return true
	}
	if err != nil && !errors.As(err, &unstable) {
		st.w.fail(err)
	}

	line, drop := st.retire(e, want, unstable)
	if line == nil || st.w.Err() != nil {
		return true
	}
	if drop {
		if err := st.w.root.Remove(blobName(e.ID)); err != nil {
			st.w.fail(fmt.Errorf("write recording: %w", err))
		}
	}
	if err := st.w.appendFile(indexName, line); err != nil {
		st.w.fail(err)
	}
	return true
}

// nextDue puts the next file that is to be copied now in front of the pending ones.
func (st *store) nextDue() bool {
	age := time.Since(st.began)
	if i := slices.Index(st.pending, st.urgent); i >= 0 {
		copy(st.pending[1:], st.pending[:i])
		st.pending[0] = st.urgent
		return true
	}
	if len(st.pending) >= maxFileCopies/2 || age >= settledDelay || st.w.q.ending() {
		return true
	}
	if age < copyDelay {
		return false
	}
	i := slices.IndexFunc(st.pending, func(e *entry) bool { return st.began.Sub(time.Unix(0, e.Mtime)) < settledFor })
	if i < 0 {
		return false
	}
	e := st.pending[i]
	copy(st.pending[1:], st.pending[:i])
	st.pending[0] = e
	return true
}

// retire takes the first pending entry off the list, as all of it was copied
// that could be, and returns its line of the index. Where another file has
// the same content, drop says that the bytes just stored are not needed.
func (st *store) retire(e *entry, want uint64, unstable *unstableError) (line []byte, drop bool) {
	e.io.Lock()
	defer e.io.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	if unstable == nil && e.Want > want && st.w.Err() == nil {
		return nil, false // it was extended meanwhile
	}
	if unstable != nil && e.Unstable == "" {
		e.Unstable = unstable.reason
	}
	st.pending = append(st.pending[:0], st.pending[1:]...)
	st.room.Broadcast()
	e.src.Close()
	e.src, e.pending = nil, false
	st.taken -= uint64(len(e.taken)) // of a failing writer
	e.taken = nil
	if e.sum == nil {
		return nil, false // the writer failed before
	}
	e.SHA256 = sumOf(e.sum)
	key := contentKey{e.SHA256, e.Kept}
	if o, ok := st.byContent[key]; !ok {
		st.byContent[key] = owner{e.ID, e}
		e.keys = append(e.keys, key)
	} else if o.id != e.ID && !e.shared && e.seq > 0 {
		if o.e != nil {
			o.e.shared = true
		}
		for _, k := range e.keys { // of a shorter beginning
			delete(st.byContent, k)
		}
		e.keys = nil
		e.Same = o.id
		drop = true
	}
	return indexLine(&e.File), drop
}

// unstableError says that the file can't be kept as it was mapped.
type unstableError struct{ reason string }

func (e *unstableError) Error() string { return e.reason }

func (st *store) copyBlock(e *entry, want uint64) error {
	e.io.Lock()
	defer e.io.Unlock()
	if e.sum == nil || e.Same != 0 {
		e.sum = newHash()
		e.Kept, e.seq, e.Same = 0, 0, 0
	}
	if e.taken == nil {
		if err := unchanged(e); err != nil {
			return err
		}
	}
	n := min(want-e.Kept, blockSize)
	if e.taken != nil {
		n = min(n, uint64(len(e.taken)))
	}
	if n == 0 {
		return nil
	}
	if st.block == nil {
		st.block = make([]byte, blockSize)
	}
	block := st.block[:n]
	if e.taken != nil {
		copy(block, e.taken)
		return st.putBlock(e, block)
	}
	if e.hole(n) {
		clear(block)
	} else if _, err := e.src.ReadAt(block, int64(e.Kept)); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return &unstableError{fmt.Sprintf("read at %d: %v", e.Kept, err)}
	}
	if err := unchanged(e); err != nil {
		return err
	}
	return st.putBlock(e, block)
}

// putBlock stores the next block of a file.
func (st *store) putBlock(e *entry, block []byte) error {
	head := chunkHeader{magic: magicFile, stream: uint32(e.ID), seq: e.seq, first: e.Kept}
	e.sum.Write(block)
	if err := st.w.writeBlock(blobName(e.ID), head, block, st.cached(e, block)); err != nil {
		return err
	}
	e.seq++
	e.Kept += uint64(len(block))
	if e.taken != nil {
		if e.taken = e.taken[len(block):]; len(e.taken) == 0 {
			e.taken = nil
		}
		st.mu.Lock()
		st.taken -= uint64(len(block))
		st.mu.Unlock()
	}
	return nil
}

// unchanged checks that the file is still the one that was registered.
func unchanged(e *entry) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(e.src.Fd()), &st); err != nil {
		return &unstableError{err.Error()}
	}
	if uint64(st.Size) != e.Size {
		return &unstableError{fmt.Sprintf("its size went from %d to %d while it was mapped", e.Size, st.Size)}
	}
	if st.Mtim.Nano() != e.Mtime {
		return &unstableError{"it was written to while it was mapped"}
	}
	return nil
}

func (st *store) waiting() int {
	st.mu.Lock()
	defer st.mu.Unlock()
	return len(st.pending)
}

// wake lets those waiting for room look at the writer's error.
func (st *store) wake() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.room.Broadcast()
}

func (st *store) close() {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, e := range st.pending {
		e.src.Close()
	}
	st.pending = nil
}

func newHash() hash.Hash { return sha256.New() }

func sumOf(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

func isZero(b []byte) bool {
	const n = 4096
	var zeros [n]byte
	for len(b) > n {
		if !bytes.Equal(b[:n], zeros[:]) {
			return false
		}
		b = b[n:]
	}
	return bytes.Equal(b, zeros[:len(b)])
}
