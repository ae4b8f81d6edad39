package recording

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
)

// Names inside a recording.
const (
	headerName  = "pyrr.json"
	summaryName = "summary.json"
	eventsDir   = "events"
	filesDir    = "files"
	indexName   = "files/index"
)

func streamName(id int) string { return fmt.Sprintf("%s/%04d", eventsDir, id) }

func blobName(id FileID) string { return fmt.Sprintf("%s/%04d", filesDir, id) }

// Writer writes a recording into a folder. Its methods may be called from
// several goroutines. All compressing and writing happens in one background
// goroutine, in the order of the calls; the first error there ends the
// writing and shows in Err and in every later call.
type Writer struct {
	dir    string
	header Header
	held   bool      // it may never go to the disk; see hold.go
	awaits bool      // it goes to the disk at the first Flush; see hold.go
	begin  sync.Once // makes the folder and starts the background goroutine
	blocks *blockCache
	root   *os.Root
	err    atomic.Pointer[error]
	disk   atomic.Int64 // bytes of events written

	streamMu sync.Mutex
	streams  map[int]*Stream

	q     queue
	store store
	done  chan struct{} // closed when the background goroutine has ended
	gone  chan struct{} // closed when a discarded folder is removed

	// Of the background goroutine only.
	enc    *zstd.Encoder
	packed []byte
	later  int64 // how many bytes of events may still stay as they are; see later.go
}

// Create makes the folder dir, which must not exist, and writes the header
// into it.
func Create(dir string, h Header) (*Writer, error) {
	w := newWriter(dir, h)
	w.start()
	if err := w.Err(); err != nil {
		return nil, err
	}
	return w, nil
}

func newWriter(dir string, h Header) *Writer {
	if h.Format == 0 {
		h.Format = FormatVersion
	}
	w := &Writer{dir: dir, header: h, streams: map[int]*Stream{}, done: make(chan struct{}), gone: make(chan struct{})}
	w.q.init()
	w.store.init(w)
	return w
}

// start makes the folder and starts the background goroutine, once.
func (w *Writer) start() {
	w.begin.Do(func() {
		if err := w.open(); err != nil {
			w.fail(fmt.Errorf("create recording: %w", err))
			w.store.close()
			close(w.done)
			return
		}
		go w.run()
	})
}

func (w *Writer) open() error {
	enc, err := newEncoder()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(w.dir), 0o777); err != nil {
		return err
	}
	// A recording holds what the program read, so it is for its owner only.
	if err := os.Mkdir(w.dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(w.dir)
	if err != nil {
		return err
	}
	dirs := []string{eventsDir, filesDir}
	if w.held {
		dirs = append(dirs, tailsDir)
	}
	for _, d := range dirs {
		err = errors.Join(err, root.Mkdir(d, 0o700))
	}
	if err = errors.Join(err, writeJSON(root, headerName, w.header)); err != nil {
		root.Close()
		os.RemoveAll(w.dir) // which did not exist before
		return err
	}
	w.root, w.enc, w.blocks = root, enc, openBlockCache()
	return nil
}

// writeJSON replaces the document name in one step.
func writeJSON(root *os.Root, name string, v any) error {
	b, err := marshalJSON(v)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if len(b) > maxJSON {
		return fmt.Errorf("write %s: %d bytes are above the limit of %d", name, len(b), maxJSON)
	}
	tmp := name + ".tmp"
	if err := root.WriteFile(tmp, b, 0o600); err != nil {
		root.Remove(tmp)
		return fmt.Errorf("write %s: %w", name, err)
	}
	return root.Rename(tmp, name)
}

// Err returns the first error of the background goroutine, such as a full
// disk. It is cheap.
func (w *Writer) Err() error {
	if p := w.err.Load(); p != nil {
		return *p
	}
	return nil
}

func (w *Writer) fail(err error) {
	w.err.CompareAndSwap(nil, &err)
	w.q.wake() // who waits for room goes on
	w.store.wake()
}

// Stream returns the stream of the process with the number procID, at most
// one per process; it is made at the first call.
func (w *Writer) Stream(procID int) *Stream {
	w.streamMu.Lock()
	defer w.streamMu.Unlock()
	s := w.streams[procID]
	if s == nil {
		s = &Stream{w: w, id: procID}
		w.streams[procID] = s
	}
	return s
}

// Flush hands what the streams hold to the background goroutine. It does not
// wait; where the background is far behind, the events stay for the next call.
func (w *Writer) Flush() {
	if w.awaits {
		w.start()
	}
	w.streamMu.Lock()
	defer w.streamMu.Unlock()
	for _, s := range w.streams {
		s.flush()
	}
}

// Close writes everything out, and the summary with the number of events of
// each stream. Nothing may be called after it.
func (w *Writer) Close(sum Summary) error {
	w.start()
	w.streamMu.Lock()
	sum.Streams = map[int]uint64{}
	for id, s := range w.streams {
		s.mu.Lock()
		s.seal(0)
		s.closed = true
		sum.Streams[id] = s.next
		s.mu.Unlock()
	}
	w.streamMu.Unlock()
	w.q.close()
	<-w.done
	if w.root == nil {
		return w.Err()
	}
	err := w.Err()
	if err == nil {
		err = w.joinAll()
	}
	if err != nil {
		// Which events made it to the disk is for the reader to find out.
		sum.Streams = nil
		sum.Truncated = true
		if sum.Why == "" {
			sum.Why = err.Error()
		}
	}
	return errors.Join(err, writeJSON(w.root, summaryName, sum), w.root.Close())
}

// Stream is the log of one process. Its methods may be called from several
// goroutines.
type Stream struct {
	w  *Writer
	id int

	mu     sync.Mutex
	d      deltas
	buf    []byte // raw bytes of the chunk being filled
	head   []byte // scratch
	first  uint64 // number of the chunk's first event
	count  uint32 // events that begin in the chunk
	next   uint64 // number of the next event
	rest   bool   // the chunk holds the rest of an event
	ended  bool   // KindEnd was appended
	closed bool
	seq    uint32
	// reserved is how many events are handed in later, begun whether they
	// were, and shift how many chunks they filled.
	reserved uint64
	begun    bool
	shift    uint32
	image    bool
	load     func(*Write) ([]byte, error) // see Begin
}

// name is the member that the stream's chunks go to.
func (s *Stream) name() string {
	if s.reserved > 0 {
		return tailName(s.id)
	}
	return streamName(s.id)
}

var errEnded = errors.New("the stream has ended")

// Append adds an event. ev and all that it refers to may be used again as
// soon as it returns. It waits only where the background goroutine is
// maxQueue bytes behind. After an error that concerns the event itself (a
// field that its kind can't have, a size above the limits) the stream stands
// as before.
func (s *Stream) Append(ev *Event) error {
	if err := s.w.Err(); err != nil {
		return err
	}
	have := ev.fields()
	data, err := checkEvent(ev, have)
	if err != nil {
		return fmt.Errorf("append event to process %d: %w", s.id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.id < 1 || s.id > maxStreams:
		return fmt.Errorf("append event to process %d: processes are numbered from 1 to %d", s.id, maxStreams)
	case s.ended || s.closed:
		return fmt.Errorf("append %s event to process %d: %w", ev.Kind, s.id, errEnded)
	case (s.next == 0) != (ev.Kind == KindStart):
		return fmt.Errorf("append %s event to process %d: event %d must %sbe a start", ev.Kind, s.id, s.next, map[bool]string{false: "not "}[s.next == 0])
	case ev.Proc != nil && ev.Proc.ID != s.id:
		return fmt.Errorf("append event to process %d: it starts process %d", s.id, ev.Proc.ID)
	}
	if data >= bigData && len(s.buf) > 0 {
		s.seal(0)
	}
	if s.buf == nil {
		s.buf = s.w.q.buffer(s.seq == 0)
	}
	if s.count == 0 {
		s.first = s.next
	}
	s.head = s.d.encode(s.head[:0], ev, have)
	s.reserve(2*binary.MaxVarintLen64 + len(s.head) + int(min(data, bigData)))
	s.buf = appendUvarint2(s.buf, uint64(len(s.head)), data)
	s.buf = append(s.buf, s.head...)
	if cap(s.head) > chunkTarget {
		s.head = nil
	}
	s.count++
	s.next++
	if data >= bigData {
		s.appendBig(ev.Mem)
	} else if data > 0 {
		for i := range ev.Mem {
			s.buf = append(s.buf, s.data(&ev.Mem[i])...)
		}
	}
	if ev.Kind == KindEnd {
		s.ended = true
		s.seal(0)
	} else if len(s.buf) >= chunkTarget {
		s.seal(0)
	}
	return s.w.Err()
}

// reserve makes room for n bytes. What begins small goes on in a buffer for a whole chunk,
// which is used again: to grow by doubling costs the copies, and a page fault for each new
// page.
func (s *Stream) reserve(n int) {
	if len(s.buf)+n <= cap(s.buf) || len(s.buf)+n > chunkBuffer {
		return
	}
	s.buf = append(s.w.q.buffer(false), s.buf...)
}

// data returns the bytes of a part of memory. Where they can't be read any more the
// recording has failed.
func (s *Stream) data(m *Write) []byte {
	if s.load == nil {
		return m.Data
	}
	b, err := s.load(m)
	if err != nil {
		s.w.fail(err)
		return m.Data
	}
	return b
}

// appendBig adds an event's data, in pieces: a chunk with the flag flagMore
// goes on in the next, which has flagRest. No other event stands in a chunk
// with flagRest. The first piece is small: who reads what happened, and not every
// byte, unpacks nothing else.
func (s *Stream) appendBig(mem []Write) {
	limit := len(s.buf) + keptBrief
	for i := range mem {
		data := s.data(&mem[i])
		for len(data) > 0 {
			room := limit - len(s.buf)
			if room <= 0 {
				s.seal(flagMore)
				limit = pieceSize
				s.buf = s.w.q.buffer(s.seq == 0)
				s.rest = true
				continue
			}
			n := min(room, len(data))
			s.buf = append(s.buf, data[:n]...)
			data = data[n:]
		}
	}
	s.seal(0)
}

// seal hands the chunk over; s.mu is held. It waits for room in the queue.
func (s *Stream) seal(flags uint16) {
	if len(s.buf) == 0 {
		return
	}
	if s.rest {
		flags |= flagRest
	}
	h := chunkHeader{magic: magicEvents, flags: flags, stream: uint32(s.id), seq: s.seq, first: s.first, count: s.count}
	if s.rest {
		h.first = s.next
	}
	s.w.makeRoom()
	s.w.q.put(job{name: s.name(), head: h, raw: s.buf, image: s.image}, s.w.Err)
	s.buf, s.count, s.rest = nil, 0, false
	s.seq++
	s.d = deltas{}
}

// flush seals the chunk unless the queue is full, or somebody is appending
// just now, perhaps waiting for room in the queue.
func (s *Stream) flush() {
	if !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	if len(s.buf) > 0 && !s.w.q.full() {
		s.seal(0)
	}
}
