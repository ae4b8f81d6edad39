package capture

import (
	"encoding/binary"
	"testing"
)

// TestFpstateSize holds that a frame is as long as it says itself.
func TestFpstateSize(t *testing.T) {
	for _, c := range []struct {
		magic, size uint32
		want        uint64
	}{
		{0, 0, 512},                // FXSAVE
		{0, 2696, 512},             // without the magic number the size is not believed
		{0x46505853, 836, 836},     // AVX
		{0x46505853, 2700, 2700},   // AVX-512
		{0x46505853, 4, 512},       // never less
		{0x46505853, 11012, 11012}, // AMX, where it was asked for
	} {
		var legacy [fxsave]byte
		binary.LittleEndian.PutUint32(legacy[464:], c.magic)
		binary.LittleEndian.PutUint32(legacy[468:], c.size)
		if got := fpstateSize(&legacy); got != c.want {
			t.Errorf("magic %#x, size %d: %d, want %d", c.magic, c.size, got, c.want)
		}
	}
}
