package capture

import (
	"testing"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
)

// TestGapNear finds room for stubs in address spaces of all kinds: free, within reach of
// the code, and a page away from what is there.
func TestGapNear(t *testing.T) {
	const size = 6 * pageSize
	m := func(start, end uint64) linux.Mapping {
		return linux.Mapping{Start: start, End: end, Prot: unix.PROT_READ | unix.PROT_EXEC}
	}
	stack := linux.Mapping{Start: highest - 1<<30, End: highest, Path: "[stack]"}
	full := func(from, to, step, gap uint64) (out []linux.Mapping) {
		for at := from; at < to; at += step {
			out = append(out, m(at, at+step-gap))
		}
		return out
	}
	const lib = 0x7f0000000000
	for _, c := range []struct {
		name string
		maps []linux.Mapping
		lo   uint64
		want bool
	}{
		{"alone", []linux.Mapping{m(lib, lib+1<<20), stack}, lib, true},
		{"at a fixed place", []linux.Mapping{m(0x400000, 0x800000), m(0x900000, 0xa00000), stack}, 0x400000, true},
		{"at a fixed place, a large heap above", []linux.Mapping{m(0x400000, 0x800000), m(0x800000, 0x70000000), stack}, 0x400000, true},
		{"nothing below, the heap close to the end of the reach", []linux.Mapping{m(lowest, 0x800000), m(0x801000, 0x7ff00000-8*pageSize), m(0x7ff00000, 0x90000000), stack}, lowest, true},
		{"many libraries", append(full(lib-2<<30, lib+2<<30, 1<<20, 16*pageSize), stack), lib, true},
		{"no room", append(full(lib-2<<30, lib+2<<30, 1<<20, 7*pageSize), stack), lib, false},
		{"just room", append(full(lib-2<<30, lib+2<<30, 1<<20, 8*pageSize), stack), lib, true},
		{"right below the stack", append(full(stack.Start-4<<30, stack.Start-stackGuard, 1<<20, 0), stack), stack.Start - 2<<20, false},
		{"only too far away", append(full(lib-2<<30, lib+2<<30, 1<<20, 0), stack), lib, false},
	} {
		hi := c.lo + 1<<20
		at, ok := gapNear(c.maps, c.lo, hi, size)
		if ok != c.want {
			t.Errorf("%s: %#x, %v", c.name, at, ok)
		}
		if !ok {
			continue
		}
		for _, o := range c.maps {
			if at < o.End+pageSize && o.Start < at+size+pageSize {
				t.Errorf("%s: %#x lies at [%#x, %#x)", c.name, at, o.Start, o.End)
			}
		}
		if at%pageSize != 0 || at < lowest || int64(hi-at) >= 1<<31 || int64(at+size-c.lo) >= 1<<31 {
			t.Errorf("%s: %#x is not a page in reach of [%#x, %#x)", c.name, at, c.lo, hi)
		}
	}
}

// TestGapsRunOut puts stubs into one address space again and again: there is room for
// very many.
func TestGapsRunOut(t *testing.T) {
	maps := []linux.Mapping{{Start: 0x400000, End: 0x800000}, {Start: 0x900000, End: 0x4000000, Path: "[heap]"}, {Start: highest - 1<<30, End: highest, Path: "[stack]"}}
	const size = 6 * pageSize
	for n := range 1000 {
		at, ok := gapNear(maps, 0x400000, 0x800000, size)
		if !ok {
			t.Fatalf("no room after %d", n)
		}
		i := 0
		for i < len(maps) && maps[i].Start < at {
			i++
		}
		maps = append(maps[:i:i], append([]linux.Mapping{{Start: at, End: at + size}}, maps[i:]...)...)
	}
}
