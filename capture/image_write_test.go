package capture

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/linux"
)

// TestSplit: the program's memory and pyrr's are told apart where the kernel shows both
// as one mapping.
func TestSplit(t *testing.T) {
	f := &frozen{skip: []span{{0x5000, 0x7000}}, engine: []engineSpan{{span{0x4000, 0x7000}, nameCalls}}}
	tests := []struct {
		name string
		m    linux.Mapping
		want []linux.Mapping
	}{
		{"beside", linux.Mapping{Start: 0x7000, End: 0x9000}, []linux.Mapping{{Start: 0x7000, End: 0x9000}}},
		{"itself", linux.Mapping{Start: 0x5000, End: 0x7000}, []linux.Mapping{{Start: 0x5000, End: 0x7000}}},
		{"merged with what follows", linux.Mapping{Start: 0x5000, End: 0x9000}, []linux.Mapping{
			{Start: 0x5000, End: 0x7000}, {Start: 0x7000, End: 0x9000, Off: 0x2000}}},
		{"merged on both sides", linux.Mapping{Start: 0x3000, End: 0x8000}, []linux.Mapping{
			{Start: 0x3000, End: 0x4000}, {Start: 0x4000, End: 0x5000, Off: 0x1000}, {Start: 0x5000, End: 0x7000, Off: 0x2000},
			{Start: 0x7000, End: 0x8000, Off: 0x4000}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			iw := &imageWriter{f: f}
			if diff := cmp.Diff(tt.want, iw.split(tt.m)); diff != "" {
				t.Errorf("split (-want +got):\n%s", diff)
			}
		})
	}
}
