package inject

// The instructions of the same names, on the processor that runs pyrr.
// xgetbv reads XCR0 and needs OSXSAVE.

//go:noescape
func cpuid(leaf, sub uint32) (eax, ebx, ecx, edx uint32)

//go:noescape
func xgetbv() uint64

//go:noescape
func rdtsc() uint64
