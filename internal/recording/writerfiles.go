package recording

import (
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"time"
)

// run is the background goroutine: it compresses and writes what the queue
// holds, and copies files while the queue is empty.
func (w *Writer) run() {
	defer close(w.done)
	for _, delay := range []time.Duration{copyDelay, settledDelay} {
		timer := time.AfterFunc(time.Until(w.store.began.Add(delay)), w.q.poke)
		defer timer.Stop()
	}
	for {
		j, ok := w.q.get()
		switch {
		case ok:
			if w.Err() == nil {
				if err := w.write(&j); err != nil {
					w.fail(err)
				}
			}
			w.q.finish(&j)
		case w.store.step():
		default:
			if w.q.wait() {
				// The end may have come after step looked, and it no longer delays.
				for w.store.step() {
				}
				w.store.close()
				w.enc.Close()
				return
			}
		}
	}
}

// write compresses a chunk and appends it to its file, or appends a line.
func (w *Writer) write(j *job) error {
	switch {
	case j.line:
		return w.appendFile(j.name, j.raw)
	case j.join != nil:
		err := w.join(j.join)
		w.root.Remove(tailsDir) // unless another is still there
		return err
	}
	before := w.disk.Load()
	err := w.writeChunk(j.name, j.head, j.raw)
	if j.image {
		w.disk.Store(before)
	}
	return err
}

func (w *Writer) writeChunk(name string, h chunkHeader, raw []byte) error {
	return w.writeBlock(name, h, raw, "")
}

// writeBlock writes a chunk of which the packed form may lie at a path of the cache.
func (w *Writer) writeBlock(name string, h chunkHeader, raw []byte, cached string) error {
	var zero [chunkHeaderSize]byte
	h.raw = uint32(len(raw))
	h.sum = crc32.Checksum(raw, castagnoli)
	w.packed = append(w.packed[:0], zero[:]...)
	if h.magic == magicFile && isZero(raw) {
		h.flags |= flagZero
	} else if h.magic == magicFile {
		var ok bool
		if w.packed, ok = w.blocks.get(w.packed, cached); !ok {
			w.packed = w.enc.EncodeAll(raw, w.packed)
			w.blocks.put(cached, w.packed[chunkHeaderSize:])
		}
	} else if n := int64(len(raw)); n <= w.later {
		w.later -= n
		w.packed = appendStored(slices.Grow(w.packed, storedSize(len(raw))), raw)
	} else {
		w.packed = w.enc.EncodeAll(raw, w.packed)
	}
	h.packed = uint32(len(w.packed) - chunkHeaderSize)
	h.put(w.packed)
	if h.magic == magicEvents {
		w.disk.Add(int64(len(w.packed)))
	}
	return w.appendFile(name, w.packed)
}

// appendFile appends b in one write. What a failing write left behind is cut
// off again, so that the file ends with a whole chunk.
func (w *Writer) appendFile(name string, b []byte) error {
	f, err := w.root.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("write recording: %w", err)
	}
	st, err := f.Stat()
	if err == nil {
		if _, err = f.Write(b); err != nil {
			f.Truncate(st.Size())
		}
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write recording: %w", err)
	}
	return nil
}
