package page

import (
	"testing"

	"pyrr/internal/recording"
	unix "pyrr/internal/sys"
)

// TestCaught holds what counts as printed while a test runner lets standard output be a
// file, as pytest does (_pytest/capture.py, FDCapture).
func TestCaught(t *testing.T) {
	c := caught{}
	call := func(nr int32, ret int64, args ...uint64) {
		ev := &recording.Event{Kind: recording.KindSyscall, Nr: nr, Ret: ret}
		copy(ev.Args[:], args)
		c.call(ev, ev)
	}
	hold := func(when string, fd uint64, want string) {
		t.Helper()
		got := ""
		switch stderr, ok := c.by(&recording.Event{Kind: recording.KindSyscall, Nr: unix.SYS_WRITE, Args: [6]uint64{fd}}); {
		case ok && stderr:
			got = "err"
		case ok:
			got = "out"
		}
		if got != want {
			t.Errorf("%s a write to %d is %q, not %q", when, fd, got, want)
		}
	}
	hold("before", 6, "")
	call(unix.SYS_DUP2, 1, 6, 1)
	call(unix.SYS_DUP3, 2, 8, 2)
	call(unix.SYS_DUP2, -9, 7, 1) // EBADF
	for fd, want := range map[uint64]string{6: "out", 1: "out", 8: "err", 2: "err", 7: "", 9: ""} {
		hold("while both are caught", fd, want)
	}
	if _, ok := c.by(&recording.Event{Kind: recording.KindSyscall, Nr: unix.SYS_WRITE, Args: [6]uint64{1}, Why: recording.OutStdout}); ok {
		t.Error("what is printed counts as caught")
	}
	call(unix.SYS_DUP2, 1, 5, 1) // where it led before
	hold("when that ended", 6, "")
	hold("when that ended", 8, "err")
	call(unix.SYS_CLOSE, 0, 8)
	hold("when its file is closed", 8, "")
}
