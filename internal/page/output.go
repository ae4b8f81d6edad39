package page

import (
	"pyrr/internal/recording"
	unix "pyrr/internal/sys"
)

// maxOutput bounds the output that a page holds, in bytes.
const maxOutput = 1 << 20

// output keeps what a call printed.
func (r *reader) output(n uint64, enter, exit *recording.Event) {
	if exit.Ret <= 0 || enter.Kind != recording.KindSyscall && enter.Kind != recording.KindEnter {
		return
	}
	stderr, caught := r.caught.by(enter)
	if !caught {
		if stderr = enter.Why == recording.OutStderr; !stderr && enter.Why != recording.OutStdout {
			return
		}
	}
	got := enter.In
	if uint64(len(got)) > uint64(exit.Ret) {
		got = got[:exit.Ret]
	}
	r.lines = append(r.lines, line{Proc: r.proc, Event: n, Stderr: stderr, Caught: caught,
		Text: cleanText(got), More: uint64(exit.Ret) - uint64(len(got))})
	r.printed += len(got)
	for r.printed > maxOutput && len(r.lines) > 1 {
		r.printed -= len(r.lines[0].Text)
		r.lines, r.lost = r.lines[1:], r.lost+1
	}
}

// caught follows what a process keeps from being printed, by the descriptors that lead
// there: 1 or 2 is what they stand for. While a test runs, pytest lets standard output be
// a file, by dup2, and lets Python print to that file (_pytest/capture.py, FDCapture).
type caught map[int32]int32

// maxCaught bounds them.
const maxCaught = 100

// call follows a call that returned.
func (c caught) call(enter, exit *recording.Event) {
	fd := int32(enter.Args[0])
	switch enter.Nr {
	case unix.SYS_DUP2, unix.SYS_DUP3:
		to := int32(enter.Args[1])
		if failed(exit.Ret) || to != 1 && to != 2 || fd <= 2 {
			return
		}
		for known, std := range c {
			if std == to {
				delete(c, known)
			}
		}
		if len(c) < maxCaught {
			c[fd] = to
		}
	case unix.SYS_CLOSE:
		delete(c, fd)
	}
}

// by says whether a call writes to what is caught, and whether that is standard error.
func (c caught) by(ev *recording.Event) (stderr, ok bool) {
	if ev.Nr != unix.SYS_WRITE || ev.Why != "" || ev.Kind != recording.KindSyscall && ev.Kind != recording.KindEnter {
		return false, false
	}
	fd := int32(ev.Args[0])
	if std, ok := c[fd]; ok {
		return std == 2, true
	}
	for _, std := range c {
		if std == fd {
			return std == 2, true
		}
	}
	return false, false
}
