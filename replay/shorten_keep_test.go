package replay

import (
	"bytes"
	"testing"
)

// TestPart holds that what is not kept of a page is cleared, and told of, and nothing else.
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
