package replay

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// TestPart: the part of a page that is not kept is cleared and reported, and nothing else.
func TestPart(t *testing.T) {
	var b part
	b.add(3, 9) // the units that it touches
	b.add(4090, 4096)
	page := bytes.Repeat([]byte{1}, pageSize)
	b.only(page)
	var others int
	b.others(func(from, to uint64) {
		others += int(to - from)
		if bytes.Contains(page[from:to], []byte{1}) {
			t.Errorf("%d to %d is told of as not kept, and has bytes", from, to)
		}
	})
	if kept := bytes.Count(page, []byte{1}); kept != 24 || kept+others != pageSize {
		t.Errorf("%d bytes are kept, %d not", kept, others)
	}
	var o part
	o.add(16, 24)
	b.join(&o)
	if b[0] != 7 {
		t.Errorf("joined: %b", b[0])
	}
}

// A span may be anything, also one that goes beyond the end of the address space: readers of
// objects follow values that are no pointers.
func TestSpansThatAreNone(t *testing.T) {
	areas := func() *touched {
		var all touched
		for _, start := range []uint64{0x10000, 0x20000, 1<<47 - pageSize} {
			a := &touchedMapping{seen: make([]bool, 2)}
			a.Start, a.End = start, start+2*pageSize
			all.mappings = append(all.mappings, a)
		}
		all.mappings[2].End, all.mappings[2].seen = 1<<47, []bool{false}
		return &all
	}
	for _, c := range []struct {
		addr uint64
		n    int
		want string // the pages
	}{
		{0x10ff8, 16, "00:also 01:also"},
		{0x11ff8, 16, "01:also"},
		{0x1fff8, 16, "10:also"},
		{0, 0x10000, ""},
		{0x10800, -1, ""},
		{0, 1 << 62, "00:also 01:also 10:also 11:also 20:also"},
		{1<<47 - 1, 9, "20:also"},
		{math.MaxUint64 - 4, 2, ""},
		{math.MaxUint64 - 4, 20, ""}, // it ends at 15
		{math.MaxUint64, 1, ""},
	} {
		of := areas()
		of.need(c.addr, c.n)
		var got []string
		for i, a := range of.mappings {
			for k := range a.seen {
				if a.also[k] != nil {
					got = append(got, fmt.Sprintf("%d%d:also", i, k))
				}
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%#x+%d: %q, want %q", c.addr, c.n, s, c.want)
		}
	}
	of := areas()
	of.mappings[0].seen[1] = true
	of.need(0x10ff8, 16)
	if of.mappings[0].also[0] == nil || of.mappings[0].also[1] != nil {
		t.Errorf("%v: a page that was used needs no part", of.mappings[0].also)
	}
	of.mark(0x11fff, math.MaxUint64)
	for i, a := range of.mappings {
		if slices.Contains(a.seen[1:], false) || i > 0 && !a.seen[0] {
			t.Errorf("area %d: %v", i, a.seen)
		}
	}
	if of.mappings[0].seen[0] {
		t.Error("a page before the span is marked")
	}
}
