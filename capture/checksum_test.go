package capture

import (
	"testing"

	"pyrr/internal/sys"
)

// A receive may write all of its buffer before the recorder hears of it: however large it
// is, its pages are not held against the replay, and the ones behind it are.
func TestPagesInFlight(t *testing.T) {
	const buf, length = uint64(0x7f0000000010), uint64(9 << 20)
	waits := &task{tid: 1 << 30}
	waits.sys = callInside
	waits.ev.Nr, waits.ev.Args = sys.SYS_RECVFROM, [6]uint64{4, buf, length}
	p := &process{tasks: map[int]*task{1: waits}}
	for _, c := range []struct {
		page uint64
		want bool
	}{
		{buf &^ (pageSize - 1), true}, {buf&^(pageSize-1) + 128<<10 + pageSize, true}, {(buf + length) &^ (pageSize - 1), true},
		{(buf+length)&^(pageSize-1) + pageSize, false}, {buf&^(pageSize-1) - pageSize, false},
	} {
		if got := p.inFlight(nil)(c.page); got != c.want {
			t.Errorf("page %#x: %v", c.page, got)
		}
	}
	if p.inFlight(waits)(buf) {
		t.Error("the page still counts because of the thread's own call, which has ended")
	}
}
