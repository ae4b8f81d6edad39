//go:build !amd64

package inject

import "time"

// Elsewhere there is no processor to ask: Host describes one without
// features, so every recording that needs any says so.

func cpuid(leaf, sub uint32) (eax, ebx, ecx, edx uint32) { return 0, 0, 0, 0 }

func xgetbv() uint64 { return 0 }

var started = time.Now()

func rdtsc() uint64 { return uint64(time.Since(started)) }
