package inject

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Options says what a traced program is shown of the processor.
type Options struct {
	// AVX512 shows the instruction sets beyond x86-64-v3 too. A recording
	// made so replays only where they exist.
	AVX512 bool
}

// A CPU is a processor as traced programs are shown it. CPUID can't be
// made to trap everywhere, so programs see this one only through the sites
// that were patched; code that a program generates itself sees the real one.
type CPU struct {
	// XCR0 is what the patched xgetbv answers: the register state that the
	// operating system saves, as far as it is shown.
	XCR0 uint64
	// XSaveSize is what CPUID leaf 13 gives as the size of the XSAVE area.
	XSaveSize int
	// HostXCR0 and HostXSaveSize are the processor's own. The XSAVE layout
	// that ptrace gives depends on them, not on what is shown.
	HostXCR0      uint64
	HostXSaveSize int

	opts Options
	real leafTable
	tsc  *atomic.Uint64 // the last answer of rdtsc
}

type leafKey struct{ leaf, sub uint32 }

// Indexes into the answer of a leaf.
const (
	eax = iota
	ebx
	ecx
	edx
)

type leafTable map[leafKey][4]uint32

// at looks an answer up. Leaves that don't depend on the sub-leaf are stored
// under 0; what isn't stored is all zeros, as AMD processors answer.
func (t leafTable) at(leaf, sub uint32) [4]uint32 {
	if subLeaves[leaf] == 0 {
		sub = 0
	}
	return t[leafKey{leaf, sub}]
}

// subLeaves is the number of sub-leaves that are kept of each leaf whose
// answer depends on ECX.
var subLeaves = map[uint32]uint32{
	4: 8, 7: 2, 0xb: 4, 0xd: 20, 0x18: 8, 0x1f: 6, 0x8000001d: 8, 0x80000026: 4,
}

// XSAVE state components (Intel SDM volume 1, 13.1).
const (
	xcrX87SSE = 1<<0 | 1<<1
	xcrAVX    = 1 << 2
	xcrAVX512 = 1<<5 | 1<<6 | 1<<7
)

// xsaveRoom is at least the size of an XSAVE area without AMX state, in the
// layouts of all vendors: Intel's ends with PKRU at 2,696 bytes. The size is
// not taken from what is shown, because XSAVE itself can't be masked: ld.so's
// lazy binding stores all components that XCR0 really holds into an area of
// the size it was told, and a replay may run on a processor that holds more.
const xsaveRoom = 2696

var hostCPU = sync.OnceValue(func() *CPU {
	var xcr0 uint64
	t := readLeaves(cpuid)
	if t.at(1, 0)[ecx]&(1<<27) != 0 { // OSXSAVE
		xcr0 = xgetbv()
	}
	return newCPU(t, xcr0, Options{})
})

// Host returns the processor that pyrr runs on, read once.
func Host() *CPU { return hostCPU() }

// With returns the same processor shown otherwise.
func (c *CPU) With(o Options) *CPU {
	n := newCPU(c.real, c.HostXCR0, o)
	n.tsc = c.tsc // one clock, whichever view a program has
	return n
}

func newCPU(t leafTable, xcr0 uint64, o Options) *CPU {
	c := &CPU{HostXCR0: xcr0, HostXSaveSize: int(t.at(0xd, 0)[ebx]), opts: o, real: t, tsc: new(atomic.Uint64)}
	shown := uint64(xcrX87SSE | xcrAVX)
	if o.AVX512 {
		shown |= xcrAVX512
	}
	c.XCR0 = xcr0 & shown
	if c.HostXSaveSize > 0 {
		c.XSaveSize = max(xsaveRoom, c.HostXSaveSize)
	}
	return c
}

// readLeaves takes all leaves that are ever shown, once: on a hybrid or
// many-socket machine two processors answer differently.
func readLeaves(cpuid func(leaf, sub uint32) (a, b, c, d uint32)) leafTable {
	t := leafTable{}
	read := func(first, most uint32) {
		highest, _, _, _ := cpuid(first, 0)
		if highest < first {
			return
		}
		for leaf := first; leaf <= min(highest, first+most); leaf++ {
			for sub := range max(1, subLeaves[leaf]) {
				a, b, c, d := cpuid(leaf, sub)
				t[leafKey{leaf, sub}] = [4]uint32{a, b, c, d}
			}
		}
	}
	read(0, maxLeaf)
	read(0x80000000, 0x26)
	if t.at(1, 0)[ecx]&(1<<31) != 0 { // under a hypervisor
		read(0x40000000, 0x10)
	}
	return t
}

// Cpuid answers CPUID as the program is shown it.
func (c *CPU) Cpuid(leaf, sub uint32) (a, b, cx, d uint32) {
	r := c.show(leaf, sub)
	return r[eax], r[ebx], r[ecx], r[edx]
}

// Features lists the instruction sets that the program is shown, by their
// names in /proc/cpuinfo, sorted.
func (c *CPU) Features() []string {
	return features(c.show, c.XCR0)
}

// Missing returns those of the required features that this processor
// lacks: with any, a recording made with them shown can't replay here.
func (c *CPU) Missing(required []string) []string {
	have := features(c.real.at, c.HostXCR0)
	var out []string
	for _, f := range required {
		if !slices.Contains(have, f) {
			out = append(out, f)
		}
	}
	return out
}

func features(at func(leaf, sub uint32) [4]uint32, xcr0 uint64) []string {
	var out []string
	for _, f := range featureTable {
		if at(f.leaf, f.sub)[f.reg]>>f.bit&1 != 0 && xcr0&f.state == f.state {
			out = append(out, f.name)
		}
	}
	slices.Sort(out)
	return out
}
