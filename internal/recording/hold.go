package recording

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// holdLimit is how many bytes of events a held recording keeps in memory
// before it goes to the disk.
const holdLimit = 16 << 20

// tailsDir holds the events of streams whose beginning is not written yet.
const tailsDir = "tails"

func tailName(id int) string { return fmt.Sprintf("%s/%04d", tailsDir, id) }

var errDiscarded = errors.New("the recording was discarded")

// Hold returns a Writer for a recording that is likely to be thrown away: it
// makes the folder dir only when more than a few megabytes are appended, or
// at Close. Discard ends it instead of Close.
func Hold(dir string, h Header) *Writer {
	w := newWriter(dir, h)
	w.held = true
	return w
}

// Await returns a Writer for a recording that may be thrown away soon: it makes the folder
// dir at the first Flush, at Close, or once more than a few megabytes are appended.
// Where Discard comes before that, nothing was made.
func Await(dir string, h Header) *Writer {
	w := newWriter(dir, h)
	w.awaits = true
	return w
}

// Rename changes the folder and the test's name of a held recording, as long
// as nothing of it is on the disk. It returns the folder.
func (w *Writer) Rename(dir, test string) string {
	w.streamMu.Lock()
	defer w.streamMu.Unlock()
	if w.root == nil && w.Err() == nil {
		w.dir, w.header.Test = dir, test
	}
	return w.dir
}

// Reserve leaves room for n events at the beginning of the stream, which has
// none yet: a process's image, for instance, is written only when it is
// known that the recording is kept. They are handed in by Begin.
func (s *Stream) Reserve(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next, s.reserved = n, n
}

// Begin writes the events for which Reserve left room. Like Append, it may
// be called while others append to the same stream. load, if there is one, returns the
// bytes of a part of memory, of as many as its Data has, when they are written: not all
// of them need be there at once.
func (w *Writer) Begin(procID int, events []Event, load func(*Write) ([]byte, error)) error {
	s := w.Stream(procID)
	s.mu.Lock()
	reserved := s.reserved
	s.mu.Unlock()
	if reserved == 0 || reserved != uint64(len(events)) {
		return fmt.Errorf("begin process %d: %d events, where %d are left out", procID, len(events), reserved)
	}
	w.start()
	head := &Stream{w: w, id: procID, image: true, load: load}
	for i := range events {
		if err := head.Append(&events[i]); err != nil {
			return err
		}
	}
	head.mu.Lock()
	head.seal(0)
	chunks := head.seq
	head.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun, s.shift = true, chunks
	return nil
}

// Settle makes the folder one that a reader takes as it is, should the
// recorder be killed from now on: the events of a process, whose beginning was
// handed in, go behind it at once instead of at Close. Like Append, it may be
// called while others append to the stream.
func (w *Writer) Settle(procID int) {
	s := w.Stream(procID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun || s.reserved == 0 || s.closed {
		return
	}
	s.seal(0)
	s.reserved = 0
	s.seq += s.shift
	w.q.put(job{join: s}, w.Err)
}

// Discard ends the writing at once, for a recording that nobody wants: what is
// still to be written and copied is not. Nothing may be called after it. The
// folder is left to the caller; that of a held recording is removed, in the
// background.
func (w *Writer) Discard() error {
	w.fail(errDiscarded)
	w.streamMu.Lock()
	for _, s := range w.streams {
		s.mu.Lock()
		s.closed, s.buf = true, nil
		s.mu.Unlock()
	}
	w.streamMu.Unlock()
	// From here on nothing starts it any more.
	w.begin.Do(func() {
		w.store.close()
		close(w.done)
	})
	w.q.close()
	if w.root == nil {
		close(w.gone)
		return nil
	}
	if !w.held {
		<-w.done
		close(w.gone)
		return w.root.Close()
	}
	go func() {
		<-w.done
		w.root.Close()
		os.RemoveAll(w.dir)
		close(w.gone)
	}()
	return nil
}

// Gone waits until Discard has removed the folder.
func (w *Writer) Gone() { <-w.gone }

// join puts the events of a stream behind its beginning. What was appended
// meanwhile has its own count of chunks, from 0.
func (w *Writer) join(s *Stream) error {
	if !s.begun {
		return fmt.Errorf("process %d: its beginning was not written", s.id)
	}
	src, err := w.root.Open(tailName(s.id))
	if errors.Is(err, os.ErrNotExist) {
		return nil // no event came after it
	}
	if err != nil {
		return fmt.Errorf("join the events of process %d: %w", s.id, err)
	}
	defer src.Close()
	dst, err := w.root.OpenFile(streamName(s.id), os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("join the events of process %d: %w", s.id, err)
	}
	var head [chunkHeaderSize]byte
	for seq := uint32(0); err == nil; seq++ {
		if _, err = io.ReadFull(src, head[:]); err != nil {
			break
		}
		var h chunkHeader
		if h, err = parseChunkHeader(head[:], magicEvents, uint32(s.id), seq); err != nil {
			break
		}
		h.seq += s.shift
		h.put(head[:])
		if _, err = io.Copy(dst, io.MultiReader(bytes.NewReader(head[:]), io.LimitReader(src, int64(h.packed)))); err != nil {
			break
		}
	}
	if err == io.EOF {
		err = nil
	}
	if cerr := dst.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("join the events of process %d: %w", s.id, err)
	}
	return w.root.Remove(tailName(s.id))
}

// joinAll joins the streams that were begun late.
func (w *Writer) joinAll() error {
	late := false
	for _, s := range w.streams {
		if s.reserved > 0 {
			late = true
			if err := w.join(s); err != nil {
				return err
			}
		}
	}
	if late {
		w.root.Remove(tailsDir)
	}
	return nil
}

// makeRoom lets a recording that has grown large in memory go to the disk.
func (w *Writer) makeRoom() {
	if (w.held || w.awaits) && w.q.size() > holdLimit {
		w.start()
	}
}

// Written is how many bytes of events are on the disk, or held for it. What
// Begin wrote does not count.
func (w *Writer) Written() int64 {
	w.q.mu.Lock()
	defer w.q.mu.Unlock()
	return w.disk.Load() + int64(w.q.bytes-w.q.images)
}

// Size is how many bytes a held recording keeps in memory.
func (w *Writer) Size() int { return w.q.size() }

func (q *queue) size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}
