package inject

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// Layouts of processors, from CPUID leaf 13 of each.
var (
	haswell = XSaveLayout{{2, 576, 256}}
	pku     = XSaveLayout{{2, 576, 256}, {9, 2688, 8}}                                                                              // Haswell,+pku of qemu
	skylake = XSaveLayout{{2, 576, 256}, {3, 960, 64}, {4, 1024, 64}, {5, 1088, 64}, {6, 1152, 512}, {7, 1664, 1024}, {9, 2688, 8}} // a server's
	zen4    = XSaveLayout{{2, 576, 256}, {5, 832, 64}, {6, 896, 512}, {7, 1408, 1024}, {9, 2432, 8}}
)

const shownAVX, shownAVX512 = 1<<3 - 1, 0xe7

// areaOf makes an area with something in each component, numbered.
func areaOf(l XSaveLayout, bv uint64) []byte {
	size := xsaveHeader
	for _, c := range l {
		size = max(size, c.Offset+c.Size)
	}
	b := make([]byte, size)
	for i := range xsaveKernel {
		b[i] = byte(i)
	}
	binary.LittleEndian.PutUint32(b[xsaveMXCSR:], 0x1f80|1<<17)
	binary.LittleEndian.PutUint32(b[xsaveMXCSRMask:], 0x2ffff)
	for i := xsaveKernel; i < xsaveLegacy; i++ {
		b[i] = 0xaa
	}
	binary.LittleEndian.PutUint64(b[xsaveBV:], bv)
	for _, c := range l {
		for i := range c.Size {
			b[c.Offset+i] = byte(c.Number*16 + i%16)
		}
	}
	return b
}

func TestXSaveConvert(t *testing.T) {
	tests := []struct {
		name     string
		from, to XSaveLayout
		bv, want uint64 // XSTATE_BV before and after
		needed   uint64
		fails    bool
	}{
		{"without PKRU to one with it", haswell, pku, 7, 7, shownAVX, false},
		{"and back, PKRU in use", pku, haswell, 7 | 1<<9, 7, shownAVX, false},
		{"AVX-512 in use but not shown", skylake, haswell, 0xe7, 7, shownAVX, false},
		{"AVX-512 shown, Intel to AMD", skylake, zen4, 0xe7 | 1<<9, 0xe7 | 1<<9, shownAVX512, false},
		{"AMD to Intel", zen4, skylake, 0xe7, 0xe7, shownAVX512, false},
		{"AVX-512 shown, and not there", zen4, haswell, 0xe7, 0, shownAVX512, true},
		{"nothing in use", skylake, zen4, 0, 0, shownAVX, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			own := areaOf(tt.to, 0)
			binary.LittleEndian.PutUint32(own[xsaveMXCSRMask:], 0xffff)
			for i := xsaveKernel; i < xsaveLegacy; i++ {
				own[i] = 0xbb
			}
			in := areaOf(tt.from, tt.bv)
			got, err := tt.from.Convert(in, own, tt.to, tt.needed)
			if (err != nil) != tt.fails {
				t.Fatalf("error %v", err)
			}
			if tt.fails {
				return
			}
			if len(got) != len(own) {
				t.Errorf("%d bytes, not %d", len(got), len(own))
			}
			if bv := binary.LittleEndian.Uint64(got[xsaveBV:]); bv != tt.want {
				t.Errorf("XSTATE_BV %#x, want %#x", bv, tt.want)
			}
			if !bytes.Equal(got[xsaveMXCSRMask+4:xsaveKernel], in[xsaveMXCSRMask+4:xsaveKernel]) {
				t.Error("x87 and SSE changed")
			}
			if got[xsaveKernel] != 0xbb {
				t.Error("the kernel's own bytes are not this kernel's")
			}
			if m := binary.LittleEndian.Uint32(got[xsaveMXCSR:]); m != 0x1f80 {
				t.Errorf("MXCSR %#x has bits that this processor refuses", m)
			}
			for _, c := range tt.to {
				part := got[c.Offset : c.Offset+c.Size]
				if tt.want>>c.Number&1 == 0 {
					if len(bytes.Trim(part, "\x00")) != 0 {
						t.Errorf("component %d is not in use, and not zero", c.Number)
					}
				} else if part[3] != byte(c.Number*16+3) {
					t.Errorf("component %d has %#x at 3", c.Number, part[3])
				}
			}
		})
	}
}

// TestXSaveForged: what a recording says of its layout must not lead outside
// of the areas.
func TestXSaveForged(t *testing.T) {
	for _, l := range []XSaveLayout{
		{{2, 576, 1 << 30}}, {{2, 1 << 40, 256}}, {{2, 10, 256}}, {{2, 576, -1}}, {{63, 576, 8}}, {{1, 576, 8}}, {{2, 576, 256}, {2, 576, 256}},
	} {
		if l.Check() == nil {
			t.Errorf("%v passes", l)
		}
	}
	far := XSaveLayout{{2, 4000, 256}}
	if err := far.Check(); err != nil {
		t.Fatal(err)
	}
	own := areaOf(haswell, 0)
	if _, err := far.Convert(areaOf(haswell, 7), own, haswell, shownAVX); err == nil {
		t.Error("a component behind the area's end was taken")
	}
	if _, err := haswell.Convert(make([]byte, 100), own, haswell, 7); err == nil {
		t.Error("a short area was taken")
	}
}

// TestXSaveHost: this machine's layout is sound, and fits the size it tells.
func TestXSaveHost(t *testing.T) {
	c := Host()
	l := c.XSave()
	if err := l.Check(); err != nil {
		t.Error(err)
	}
	for _, x := range l {
		if x.Offset+x.Size > c.HostXSaveSize {
			t.Errorf("component %d ends at %d, beyond %d", x.Number, x.Offset+x.Size, c.HostXSaveSize)
		}
	}
}
