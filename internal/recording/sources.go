package recording

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"github.com/klauspost/compress/zstd"
)

// SourceWriter keeps the text of source files (member "sources"), so that
// lines can be shown where the files are not at hand.
type SourceWriter struct {
	r      *Recording
	f      *os.File
	enc    *zstd.Encoder
	err    error
	seq    uint32
	count  int // files in raw
	first  int // the number of the first of them
	total  int64
	raw    []byte
	packed []byte
}

// ErrTooLarge says that a source file is beyond the limits of the format.
var ErrTooLarge = errors.New("source file too large to keep")

// newPart makes a file of a recording that is a folder, under a name for the time until it
// is whole, and what compresses it.
func (r *Recording) newPart(name string) (*os.File, *zstd.Encoder, error) {
	if r.root == nil {
		return nil, nil, errors.New("the recording is packed")
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithWindowSize(4<<20))
	if err != nil {
		return nil, nil, err
	}
	f, err := r.root.OpenFile(name+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		enc.Close()
		return nil, nil, err
	}
	return f, enc, nil
}

// WriteSources begins the sources of a recording that is a folder. They
// appear there when the writer is closed.
func (r *Recording) WriteSources() (*SourceWriter, error) {
	f, enc, err := r.newPart(sourcesName)
	if err != nil {
		return nil, fmt.Errorf("write the sources of %s: %w", r.path, err)
	}
	return &SourceWriter{r: r, f: f, enc: enc}, nil
}

// Add keeps the text of the file that Python calls path.
func (w *SourceWriter) Add(path string, text []byte) error {
	if len(path) > maxPath || len(text) > MaxSource || w.total+int64(len(text)) > maxSources {
		return ErrTooLarge
	}
	w.total += int64(len(text))
	w.raw = appendBytes(appendString(w.raw, path), text)
	w.count++
	if len(w.raw) >= 4*chunkTarget {
		w.flush()
	}
	return w.err
}

func (w *SourceWriter) flush() {
	if w.count == 0 || w.err != nil {
		return
	}
	h := chunkHeader{magic: magicSources, seq: w.seq, first: uint64(w.first), count: uint32(w.count), raw: uint32(len(w.raw)), sum: crc32.Checksum(w.raw, castagnoli)}
	w.seq++
	w.first += w.count
	w.packed = writeTo(w.packed, w.enc, h, w.raw)
	_, w.err = w.f.Write(w.packed)
	w.raw, w.count = w.raw[:0], 0
}

// Close writes what is left and puts the sources in their place.
func (w *SourceWriter) Close() error {
	w.flush()
	if err := w.r.putInPlace(sourcesName, w.f, w.enc, w.err); err != nil {
		return fmt.Errorf("write the sources of %s: %w", w.r.path, err)
	}
	return nil
}

// Abort drops the sources.
func (w *SourceWriter) Abort() { w.r.drop(sourcesName, w.f, w.enc) }

// Sources returns the text of the source files in the recording, by the path
// that Python has for them; empty where there are none.
func (r *Recording) Sources() (map[string][]byte, error) {
	r.sourcesOnce.Do(func() { r.sources, r.sourcesErr = r.readSources() })
	return r.sources, r.sourcesErr
}

func (r *Recording) readSources() (map[string][]byte, error) {
	all := map[string][]byte{}
	total, most := int64(0), min(maxSources+maxSources/8, r.mayUnpack(sourcesName, freeSources))
	err := r.eachChunk(sourcesName, magicSources, func(h *chunkHeader, raw []byte) error {
		if total += int64(len(raw)); total > most {
			return errOverlong
		}
		for range h.count {
			path, n1 := binary.Uvarint(raw)
			if n1 <= 0 || path > maxPath || path > uint64(len(raw)-n1) {
				return errShort
			}
			name := string(raw[n1 : n1+int(path)])
			raw = raw[n1+int(path):]
			size, n2 := binary.Uvarint(raw)
			if n2 <= 0 || size > MaxSource || size > uint64(len(raw)-n2) {
				return errShort
			}
			all[name] = raw[n2 : n2+int(size) : n2+int(size)]
			raw = raw[n2+int(size):]
		}
		if len(raw) != 0 {
			return fmt.Errorf("%d bytes too many", len(raw))
		}
		return nil
	})
	if errors.Is(err, ErrNoIndex) {
		err = nil
	}
	return all, err
}
