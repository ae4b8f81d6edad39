package recording

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// MaxLater is as much as PackLater should leave as it is: more would take room on the
// disk that nobody expects.
const MaxLater = 64 << 20

// PackLater makes the Writer put the first n bytes of events into frames that are not
// compressed, for a recording that is likely to be thrown away: Pack compresses them
// where it is not. It comes before the first event.
func (w *Writer) PackLater(n int64) { w.later = n }

// What a frame that is not compressed has (RFC 8878, 3.1.1): the magic number, a
// descriptor that says "one segment, its size in four bytes", and blocks of type raw.
const (
	zstdMagic      = 0xFD2FB528
	zstdOneSegment = 2<<6 | 1<<5
	zstdRawBlock   = 0 << 1
	zstdLastBlock  = 1
	zstdMaxBlock   = 128 << 10
)

// storedSize is how many bytes appendStored makes of n at most.
func storedSize(n int) int { return n + 9 + 3*(1+n/zstdMaxBlock) }

// appendStored appends raw, which is not empty, as a frame that is not compressed.
func appendStored(b, raw []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, zstdMagic)
	b = append(b, zstdOneSegment)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(raw)))
	for len(raw) > 0 {
		n := min(len(raw), zstdMaxBlock)
		head := uint32(n)<<3 | zstdRawBlock
		if n == len(raw) {
			head |= zstdLastBlock
		}
		b = append(b, byte(head), byte(head>>8), byte(head>>16))
		b = append(b, raw[:n]...)
		raw = raw[n:]
	}
	return b
}

// tightener reads a stream of events, with the chunks compressed that PackLater left as
// they were. What is no whole chunk any more, as behind a recorder that was killed, comes
// as it is.
type tightener struct {
	src    content
	dec    *zstd.Decoder
	enc    *zstd.Encoder
	off    int64
	seq    uint32
	stuck  bool // no chunk begins at off
	packed []byte
	out    []byte // what is read next
	buf    []byte // where out lies
}

func newTightener(src content) (*tightener, error) {
	dec, err := newDecoder()
	if err != nil {
		return nil, err
	}
	enc, err := newEncoder()
	if err != nil {
		dec.Close()
		return nil, err
	}
	return &tightener{src: src, dec: dec, enc: enc}, nil
}

func (t *tightener) close() {
	t.dec.Close()
	t.enc.Close()
}

// Read implements io.Reader.
func (t *tightener) Read(b []byte) (int, error) {
	if len(t.out) == 0 && !t.stuck {
		if err := t.chunk(); err != nil {
			t.stuck = true
		}
	}
	if len(t.out) > 0 {
		n := copy(b, t.out)
		t.out = t.out[n:]
		return n, nil
	}
	n, err := io.NewSectionReader(t.src, t.off, t.src.size-t.off).Read(b)
	t.off += int64(n)
	return n, err
}

// chunk takes the next chunk.
func (t *tightener) chunk() error {
	var head [chunkHeaderSize]byte
	if _, err := t.src.ReadAt(head[:], t.off); err != nil {
		return err
	}
	h, packed, err := readChunk(t.src, t.off, magicEvents, streamOf(&head), t.seq, &t.packed)
	if err != nil {
		return err
	}
	t.buf = append(t.buf[:0], head[:]...)
	if h.packed < h.raw {
		t.buf = append(t.buf, packed...)
	} else {
		raw, err := h.unpack(t.dec, packed)
		if err != nil {
			return err
		}
		was := h
		t.buf = t.enc.EncodeAll(raw, t.buf)
		if h.packed = uint32(len(t.buf) - chunkHeaderSize); h.packed > was.packed {
			h, t.buf = was, append(t.buf[:chunkHeaderSize], packed...)
		}
		h.put(t.buf)
	}
	t.out = t.buf
	t.off += chunkHeaderSize + int64(len(packed))
	t.seq++
	return nil
}

// packEvents packs a stream of events.
func (r *Recording) packEvents(z *zipWriter, name string, c content) error {
	t, err := newTightener(c)
	if err != nil {
		return fmt.Errorf("compress %s: %w", name, err)
	}
	defer t.close()
	return z.add(name, t)
}
