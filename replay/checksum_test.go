package replay

import (
	"encoding/binary"
	"hash/crc32"
	"testing"
)

// A page of a stack differs from the recorded one by nothing but what an XSAVE area says of
// the registers in use, or by more than that.
func TestSameButInUse(t *testing.T) {
	const header = 5 * xsaveHeader
	word := func(at int, value uint64) func(page []byte) {
		return func(page []byte) { binary.LittleEndian.PutUint64(page[at:], value) }
	}
	for _, c := range []struct {
		name             string
		recorded, replay []func(page []byte)
		same             bool
	}{
		{"other registers", []func([]byte){word(header, 6)}, []func([]byte){word(header, 2)}, true},
		{"none in use now", []func([]byte){word(header, 2)}, nil, true},
		{"none in use then", nil, []func([]byte){word(header, 0xe7)}, true},
		{"no such registers", []func([]byte){word(header, 0x100)}, nil, false},
		{"not where a header begins", []func([]byte){word(header+8, 2)}, nil, false},
		{"no header", []func([]byte){word(header, 2), word(header+16, 1)}, []func([]byte){word(header+16, 1)}, false},
		{"two of them", []func([]byte){word(header, 2), word(0, 2)}, nil, false},
	} {
		var recorded, replay [pageSize]byte
		for i := 32 * xsaveHeader; i < pageSize; i++ { // what else is there
			recorded[i], replay[i] = byte(i)|1, byte(i)|1
		}
		for _, f := range c.recorded {
			f(recorded[:])
		}
		for _, f := range c.replay {
			f(replay[:])
		}
		before := replay
		if got := sameButInUse(replay[:], max(crc32.Checksum(recorded[:], castagnoli), 1)); got != c.same {
			t.Errorf("%s: %t", c.name, got)
		}
		if replay != before {
			t.Errorf("%s: the page was changed", c.name)
		}
	}
}
