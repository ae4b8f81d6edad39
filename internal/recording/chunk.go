package recording

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"
)

// Magic numbers at the start of each chunk.
var (
	magicEvents = [4]byte{'P', 'Y', 'R', 'E'}
	magicFile   = [4]byte{'P', 'Y', 'R', 'F'}
)

const (
	chunkHeaderSize = 64
	chunkVersion    = 1

	// flagMore: the chunk's last event continues in the next chunk.
	flagMore = 1 << 0
	// flagRest: the chunk holds nothing but the rest of an event that began
	// in an earlier one.
	flagRest = 1 << 1
	// flagZero: the content is Raw zero bytes, nothing is stored (files only).
	flagZero = 1 << 2

	knownFlags = flagMore | flagRest | flagZero
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chunkHeader is the fixed header before each zstd frame, all little-endian:
//
//	 0 magic     4 bytes, "PYRE" events or "PYRF" a file's blocks
//	 4 version   uint16
//	 6 flags     uint16
//	 8 stream    uint32, process or file the chunk belongs to
//	12 sequence  uint32, from 0
//	16 first     uint64, number of the first event, or offset in the file
//	24 count     uint32, how many events begin in the chunk
//	28 raw       uint32, length unpacked
//	32 packed    uint32, length of the zstd frame
//	36 sum       uint32, CRC-32C of the unpacked bytes
//	40 reserved  20 bytes, zero
//	60 headSum   uint32, CRC-32C of the 60 bytes before
type chunkHeader struct {
	magic  [4]byte
	flags  uint16
	stream uint32
	seq    uint32
	first  uint64
	count  uint32
	raw    uint32
	packed uint32
	sum    uint32
}

func (h *chunkHeader) put(b []byte) {
	_ = b[chunkHeaderSize-1]
	le := binary.LittleEndian
	copy(b, h.magic[:])
	le.PutUint16(b[4:], chunkVersion)
	le.PutUint16(b[6:], h.flags)
	le.PutUint32(b[8:], h.stream)
	le.PutUint32(b[12:], h.seq)
	le.PutUint64(b[16:], h.first)
	le.PutUint32(b[24:], h.count)
	le.PutUint32(b[28:], h.raw)
	le.PutUint32(b[32:], h.packed)
	le.PutUint32(b[36:], h.sum)
	clear(b[40:60])
	le.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
}

var (
	errNoChunk  = errors.New("no chunk begins here (bad magic number)")
	errHeadSum  = errors.New("bad checksum of the chunk's header")
	errChunkSum = errors.New("bad checksum of the chunk")
)

// parseChunkHeader checks b, which is chunkHeaderSize bytes, against what a
// chunk of that kind, stream and sequence number may hold.
func parseChunkHeader(b []byte, magic [4]byte, stream, seq uint32) (h chunkHeader, err error) {
	le := binary.LittleEndian
	if !bytes.Equal(b[:4], magic[:]) {
		return h, errNoChunk
	}
	if le.Uint32(b[60:]) != crc32.Checksum(b[:60], castagnoli) {
		return h, errHeadSum
	}
	if v := le.Uint16(b[4:]); v != chunkVersion {
		return h, fmt.Errorf("chunk of version %d; this pyrr reads %d", v, chunkVersion)
	}
	h = chunkHeader{
		magic:  magic,
		flags:  le.Uint16(b[6:]),
		stream: le.Uint32(b[8:]),
		seq:    le.Uint32(b[12:]),
		first:  le.Uint64(b[16:]),
		count:  le.Uint32(b[24:]),
		raw:    le.Uint32(b[28:]),
		packed: le.Uint32(b[32:]),
		sum:    le.Uint32(b[36:]),
	}
	switch {
	case h.stream != stream:
		return h, fmt.Errorf("chunk of stream %d in stream %d", h.stream, stream)
	case h.seq != seq:
		return h, fmt.Errorf("chunk %d where chunk %d has to be", h.seq, seq)
	case h.flags&^knownFlags != 0:
		return h, fmt.Errorf("chunk with unknown flags %#x", h.flags&^knownFlags)
	case h.raw == 0 || h.raw > maxChunk:
		return h, fmt.Errorf("chunk of %d bytes (limit %d)", h.raw, maxChunk)
	case h.packed > maxChunk+maxChunk/64+1024:
		return h, fmt.Errorf("chunk of %d packed bytes", h.packed)
	case h.packed == 0 && h.flags&flagZero == 0:
		return h, errors.New("chunk without content")
	case h.count > h.raw:
		return h, fmt.Errorf("chunk of %d events in %d bytes", h.count, h.raw)
	}
	return h, nil
}

// streamOf is what a header says whose chunk it is.
func streamOf(b *[chunkHeaderSize]byte) uint32 { return binary.LittleEndian.Uint32(b[8:]) }

// newEncoder makes the encoder for chunks.
func newEncoder() (*zstd.Encoder, error) { return newEncoderLevel(zstd.SpeedFastest) }

func newEncoderLevel(level zstd.EncoderLevel) (*zstd.Encoder, error) {
	// The chunk header has lengths and a checksum of its own, so the frame
	// needs none; the window covers a sealed chunk.
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithWindowSize(chunkTarget))
}

// newDecoder makes a decoder for chunks, which holds to the caller's limits.
func newDecoder() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxChunk),
		zstd.WithDecoderMaxWindow(maxChunk), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderLowmem(true))
}

// unpack decompresses a chunk's frame into a new buffer and checks it.
func (h *chunkHeader) unpack(dec *zstd.Decoder, packed []byte) ([]byte, error) {
	raw := make([]byte, 0, h.raw)
	if h.flags&flagZero != 0 {
		return raw[:h.raw], nil
	}
	raw, err := dec.DecodeAll(packed, raw)
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	if len(raw) != int(h.raw) {
		return nil, fmt.Errorf("chunk unpacks to %d bytes, not %d", len(raw), h.raw)
	}
	if crc32.Checksum(raw, castagnoli) != h.sum {
		return nil, errChunkSum
	}
	return raw, nil
}
