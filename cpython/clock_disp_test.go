package cpython

import (
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

// TestDisplacement holds that a distance of 32 bits may be backwards: lld puts tables
// before the code.
func TestDisplacement(t *testing.T) {
	tests := []struct {
		code []byte // a lea to rdi
		want value
	}{
		{[]byte{0x48, 0x8d, 0x3d, 0x00, 0xf0, 0xff, 0xff}, value{kind: valConst, off: 0x40007 - 0x1000}}, // [rip-0x1000]
		{[]byte{0x48, 0x8d, 0x3d, 0x00, 0x10, 0x00, 0x00}, value{kind: valConst, off: 0x40007 + 0x1000}},
		{[]byte{0x48, 0x8d, 0xbb, 0x60, 0xfe, 0xff, 0xff}, value{kind: valSymbol, off: -0x1a0}}, // [rbx-0x1a0]
		{[]byte{0x48, 0x8d, 0x7b, 0xf8}, value{kind: valSymbol, off: -8}},
	}
	for _, tt := range tests {
		tr := newTracer()
		tt.want.id = 0
		if tt.want.kind == valSymbol {
			tt.want.id = tr.regs[3].id
		}
		tr.code, tr.start = tt.code, 0x40000
		if n, op := tr.one(0x40000); int(n) != len(tt.code) || op != x86asm.LEA || tr.regs[7] != tt.want {
			t.Errorf("% x leads to %+v, want %+v", tt.code, tr.regs[7], tt.want)
		}
	}
}
