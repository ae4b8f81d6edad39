package stackwalk

import (
	"encoding/binary"
	"testing"

	"pyrr/internal/mem"
	"pyrr/internal/recording"
)

// anywhere has the same eight bytes at every address, and counts how often they are read.
type anywhere struct {
	word  uint64
	reads int
}

func (m *anywhere) ReadAt(p []byte, _ uint64) error {
	m.reads++
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], m.word)
	copy(p, b[:])
	return nil
}

// TestRedirect: a thread that stands in code of pyrr's is shown where that stands for, in
// whichever of its areas it is. The indexer asks once for each place, while the process
// stands still: a stack whose code is looked for later is not in the copy of the stack, and
// the whole replay was made again for it.
func TestRedirect(t *testing.T) {
	const pauses, stubs, calls = 0x10000, 0x80000, 0x100000
	const site = 0x7f0000001234
	ip := &indexedProcess{targets: map[uint64]uint64{}, code: &codeMap{
		stubs: stubs, calls: calls, callsEnd: calls + 0x1000,
		pauses: []recording.Mapping{{Start: pauses, End: pauses + 0x1000}, {Start: pauses + 0x5000, End: pauses + 0x6000}},
	}}
	jump := uint64(0x25ff) // what a stub ends with: jmp [rip+0], to what lies behind it
	for _, tt := range []struct {
		name string
		pc   uint64
		word uint64
		want uint64
		ours bool
	}{
		{"the program's own", 0x4000, site, 0x4000, false},
		{"a pause", pauses + 100, site, site, true},
		{"a pause of another file", pauses + 0x5fff, site, site, true},
		{"behind the pauses", pauses + 0x6000, site, pauses + 0x6000, false},
		{"what all calls have in common", calls + 0x200, site, calls + 0x200, true},
		{"behind the calls", calls + 0x1000, site, calls + 0x1000, false},
		{"a stub that leads nowhere", stubs + 4, ^jump, stubs + 4, true},
	} {
		m := &anywhere{word: tt.word}
		for range 2 {
			if got := ip.redirect(m, tt.pc); got != tt.want {
				t.Errorf("%s: %#x; want %#x", tt.name, got, tt.want)
			}
		}
		once := m.reads
		if ip.redirect(m, tt.pc); m.reads != once || !tt.ours && once > 0 || ip.code.ours(tt.pc) != tt.ours {
			t.Errorf("%s: %d reads, pyrr's own: %v", tt.name, m.reads, ip.code.ours(tt.pc))
		}
	}
}

var _ mem.Reader = (*anywhere)(nil)
