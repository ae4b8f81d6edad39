package reason

import (
	"testing"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
	unix "pyrr/internal/sys"
)

// Whatever call sends a signal to a process, to its group or to one of its threads is
// known as one that may have ended it.
func TestSendsTo(t *testing.T) {
	target := &Ending{Proc: recording.Process{PID: 70}, Threads: []Waiting{{TID: 70}, {TID: 71}}}
	const term, sigqueue, tgsigqueue = 15, 129, 297
	minus := func(n int) uint64 { return uint64(-n) }
	for _, c := range []struct {
		nr   int
		args [6]uint64
		want bool
	}{
		{unix.SYS_KILL, [6]uint64{70, term}, true},
		{unix.SYS_KILL, [6]uint64{minus(70), term}, true},
		{unix.SYS_KILL, [6]uint64{70, 9}, false},
		{unix.SYS_KILL, [6]uint64{71, term}, false},
		{unix.SYS_KILL, [6]uint64{minus(1), term}, false},
		{unix.SYS_TGKILL, [6]uint64{70, 71, term}, true},
		{unix.SYS_TGKILL, [6]uint64{80, 81, term}, false},
		{sigqueue, [6]uint64{70, term}, true},
		{tgsigqueue, [6]uint64{70, 70, term}, true},
		{200, [6]uint64{71, term}, true}, // tkill
		{200, [6]uint64{81, term}, false},
		{424, [6]uint64{70, term}, false}, // pidfd_send_signal: 70 is a descriptor
		{unix.SYS_GETPID, [6]uint64{70, term}, false},
	} {
		ev := &recording.Event{Nr: int32(c.nr), Args: c.args}
		if got := sendsTo(target, ev, linux.Signal(term)); got != c.want {
			t.Errorf("call %d %v: %v", c.nr, c.args, got)
		}
	}
}
