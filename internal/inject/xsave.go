package inject

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// An XSaveLayout says where a processor keeps each state component in an XSAVE
// area of the standard form, the one that ptrace(2) gives. Which components
// there are, and from AVX-512 on where they lie, differs between processors
// (CPUID leaf 13; Intel SDM volume 1, 13.4 and 13.5).
type XSaveLayout []XSaveComponent

// An XSaveComponent is the place of one state component; sizes in bytes.
type XSaveComponent struct {
	Number       int // its bit in XCR0 and XSTATE_BV
	Offset, Size int
}

// Places in an XSAVE area (Intel SDM volume 1, 13.4.1 and 13.4.2; the word of
// the kernel's is in arch/x86/include/asm/user.h).
const (
	xsaveMXCSR     = 24
	xsaveMXCSRMask = 28
	xsaveKernel    = 464 // XCR0 as the kernel set it, in the bytes left to software
	xsaveBV        = 512
	xsaveLegacy    = 512 // x87 and SSE
	xsaveHeader    = 576 // with the header, which ends here
	// xsaveMost is more than any area has; AMX's ends at 11,008 bytes.
	xsaveMost = 1 << 14
)

// The area's first components, everywhere at the same place.
const (
	componentSSE = 1
	componentAVX = 2
)

// XSave returns the layout of this processor.
func (c *CPU) XSave() XSaveLayout {
	var l XSaveLayout
	for n := componentAVX; n < 20; n++ {
		r := c.real.at(0xd, uint32(n))
		if c.HostXCR0>>n&1 != 0 && r[eax] != 0 && r[ecx]&1 == 0 { // ECX bit 0: the supervisor's
			l = append(l, XSaveComponent{Number: n, Offset: int(r[ebx]), Size: int(r[eax])})
		}
	}
	return l
}

// XSaveOf returns the layout of a recording's areas: the one that was noted,
// or, where it is from a time when none was, what is the same everywhere and
// the two forms of AVX-512: AMD leaves no room for MPX.
func XSaveOf(noted XSaveLayout, size int) XSaveLayout {
	if len(noted) > 0 {
		return noted
	}
	l := XSaveLayout{{Number: componentAVX, Offset: 576, Size: 256}}
	switch {
	case size >= 2688:
		l = append(l, XSaveComponent{5, 1088, 64}, XSaveComponent{6, 1152, 512}, XSaveComponent{7, 1664, 1024})
	case size >= 2432:
		l = append(l, XSaveComponent{5, 832, 64}, XSaveComponent{6, 896, 512}, XSaveComponent{7, 1408, 1024})
	}
	return l
}

func (l XSaveLayout) find(number int) (XSaveComponent, bool) {
	for _, c := range l {
		if c.Number == number {
			return c, true
		}
	}
	return XSaveComponent{}, false
}

// Check says what is wrong with a layout that was read from a recording.
func (l XSaveLayout) Check() error {
	seen := uint64(0)
	for _, c := range l {
		if c.Number < componentAVX || c.Number > 62 || seen>>c.Number&1 != 0 ||
			c.Size <= 0 || c.Offset < xsaveHeader || c.Offset > xsaveMost || c.Size > xsaveMost-c.Offset {
			return fmt.Errorf("state component %d of %d bytes at %d", c.Number, c.Size, c.Offset)
		}
		seen |= 1 << c.Number
	}
	return nil
}

var errNoXSave = errors.New("the area of the extended registers is too short")

// Convert returns an area laid out as from as one that a kernel with layout to
// takes: own is an area of that kernel's, for its size and for what the kernel
// notes in it. What to has no room for is left out; needed are the components
// (a mask as in XCR0) that must not be.
func (from XSaveLayout) Convert(area, own []byte, to XSaveLayout, needed uint64) ([]byte, error) {
	if len(area) < xsaveHeader || len(own) < xsaveHeader {
		return nil, errNoXSave
	}
	out := make([]byte, len(own))
	copy(out, area[:xsaveLegacy])
	copy(out[xsaveKernel:xsaveLegacy], own[xsaveKernel:xsaveLegacy])
	// A processor refuses bits of MXCSR that it doesn't have. The one that
	// only some have is for misaligned operands (AMD APM volume 2, 11.5.10).
	copy(out[xsaveMXCSRMask:], own[xsaveMXCSRMask:xsaveMXCSRMask+4])
	const everywhere = 0xffff
	mask := binary.LittleEndian.Uint32(own[xsaveMXCSRMask:]) | everywhere
	binary.LittleEndian.PutUint32(out[xsaveMXCSR:], binary.LittleEndian.Uint32(area[xsaveMXCSR:])&mask)

	used := binary.LittleEndian.Uint64(area[xsaveBV:])
	bv := used & (1<<(componentSSE+1) - 1)
	for n := componentAVX; n < 63; n++ {
		if used>>n&1 == 0 {
			continue
		}
		a, okA := from.find(n)
		b, okB := to.find(n)
		okA = okA && a.Offset >= xsaveHeader && a.Offset <= len(area) && a.Size <= len(area)-a.Offset
		okB = okB && b.Size == a.Size && b.Offset <= len(out) && b.Size <= len(out)-b.Offset
		if !okA || !okB {
			if needed>>n&1 != 0 {
				return nil, fmt.Errorf("no room for state component %d", n)
			}
			continue
		}
		copy(out[b.Offset:b.Offset+b.Size], area[a.Offset:])
		bv |= 1 << n
	}
	binary.LittleEndian.PutUint64(out[xsaveBV:], bv)
	return out, nil
}
