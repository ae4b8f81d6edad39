package capture

import (
	"bytes"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
	"pyrr/internal/sys"
)

// watchTests ends what has taken too long.
func (r *recorder) watchTests(now time.Time) {
	for _, p := range r.processes {
		run := p.runner
		if run == nil || p.ended {
			continue
		}
		test := run.test
		switch {
		case test == nil:
			if !run.deadline.IsZero() && now.After(run.deadline) {
				run.deadline, r.after = time.Time{}, r.outside()
				r.expire()
				return
			}
		case !test.expireBy.IsZero():
			if now.After(test.expireBy) {
				r.expireTest(p)
			}
		case !test.expired && !test.deadline.IsZero() && now.After(test.deadline):
			if r.o.Tests == nil {
				// One recording of all: it ends here, and the command with it.
				test.expired, r.deadline, r.after = true, now, test.limit
				return
			}
			r.expireSoon(p, now)
		case test.expired && len(test.again) > 0 && now.After(test.again[0]):
			test.again = test.again[1:]
			tell(p.pid, signalExpired)
		case test.expired && !test.killAt.IsZero() && now.After(test.killAt):
			test.killAt = time.Time{}
			r.warnf("%s did not end within %v of its time-out: process %d is ended", test.id, r.o.Grace, p.pid)
			if p.pid == r.rootPID {
				r.timedOut, r.after = true, test.limit
			}
			if !run.worker { // that of pytest-xdist gets another
				r.stuck = append(r.stuck, Stuck{PID: p.pid, Root: p.pid == r.rootPID, Test: test.id, Why: test.why, Limit: test.limit, Done: run.done})
			}
			ptrace.Kill(p.pid)
		}
	}
}

// The phases of a test, as its runner names them, in which it isn't interrupted again.
const (
	phaseReport   = "report"
	phaseTeardown = "teardown"
)

// enterPhase notes the phase of a test. One that was interrupted and is reported or torn
// down has heeded that, and gets the same time again for it.
func (run *runner) enterPhase(phase string, grace time.Duration) {
	run.phase = phase
	if test := run.test; test != nil && (phase == phaseReport || phase == phaseTeardown) && !test.killAt.IsZero() {
		test.again, test.killAt = nil, time.Now().Add(grace)
	}
}

// expireSoon ends the time of a test: at an exact instruction, where it
// computes.
func (r *recorder) expireSoon(p *process, now time.Time) {
	if c := p.cur; p.clock != nil && c != nil && c.computing() && p.ep != nil {
		p.runner.test.expireBy = now.Add(tickPatience)
	} else {
		r.expireTest(p)
	}
}

// expiring reports whether a time-out waits for an exact instruction.
func (run *runner) expiring() bool {
	return run.test != nil && !run.test.expireBy.IsZero()
}

// hurried reports whether a time-out waits for a process to come to an exact
// instruction.
func (r *recorder) hurried(p *process) bool {
	return !r.expireBy.IsZero() || p.runner != nil && p.runner.expiring()
}

// expireTestAt is expireTest where a thread stands before an exact
// instruction, so that a replay gets there too.
func (r *recorder) expireTestAt(m *moment) error {
	if err := r.switchLog(m); err != nil {
		return err
	}
	r.expireTest(m.t.proc)
	return nil
}

// expireTest finishes the recording of a test whose time is up, and tells the
// runner.
func (r *recorder) expireTest(p *process) {
	test := p.runner.test
	test.expired, test.expireBy = true, time.Time{}
	if test.cancelled {
		if ep := test.ep; ep != nil {
			r.endEpoch(ep, recording.EndTest, outcomeCancelled)
			r.keepTest(ep, outcomeCancelled)
		}
		return
	}
	test.killAt = time.Now().Add(r.o.Grace)
	test.why = fmt.Sprintf("not recorded by pyrr, after %v", test.limit)
	if ep := test.ep; ep != nil {
		for o := range ep.live {
			r.logOpen(o)
			r.log(o, &recording.Event{Kind: recording.KindTimeout, TID: int32(o.pid), Instr: r.countNow(o)})
		}
		before := len(r.kept)
		r.endEpoch(ep, recording.EndTimeout, fmt.Sprintf("after %v", test.limit))
		if r.wanted(test, "timeout") {
			r.keepTest(ep, "timeout")
		} else {
			r.drop(ep)
		}
		if len(r.kept) > before {
			test.why = fmt.Sprintf("recorded by pyrr in %s, after %v", r.o.Tests.Final(test.dir), test.limit)
		}
	}
	if test.after {
		p.runner.test, r.after = nil, test.limit
		r.expire()
		return
	}
	sig := unix.Signal(signalExpired)
	if !p.runner.handles {
		sig = unix.SIGINT
	}
	switch {
	case r.o.Kill:
		sig = unix.SIGKILL
	case p.runner.handles && p.runner.phase != phaseTeardown:
		// Frameworks catch what a test raises, and go on. What is torn down already
		// is not disturbed again.
		now := time.Now()
		for _, part := range []time.Duration{8, 14, 15, 16, 17, 18} {
			test.again = append(test.again, now.Add(r.o.Grace*part/20))
		}
	}
	tell(p.pid, sig)
}

// tell sends a signal to the main thread of a process. Where no more may wait that tell
// something of themselves (RLIMIT_SIGPENDING), the kernel takes one for the process.
func tell(pid int, sig unix.Signal) {
	if unix.Tgkill(pid, pid, sig) == unix.EAGAIN {
		unix.Kill(pid, sig)
	}
}

// asked answers a runner that wants to know why it got signalExpired. It
// reports whether the call was that question.
func (r *recorder) asked(t *task) (bool, error) {
	if t.ev.Nr != sys.SYS_READLINK || !bytes.Equal(t.ev.In, []byte(markWhy)) {
		return false, nil
	}
	run := t.proc.runner
	if run == nil || run.test == nil || !run.test.expired {
		return false, nil
	}
	b := []byte(run.test.why)
	b = b[:min(uint64(len(b)), t.ev.Args[2])]
	if err := ptrace.Write(t.tid, t.ev.Args[1], b); err != nil {
		return false, err
	}
	return true, r.answer(t, int64(len(b)))
}

// inTest is the test that a process runs, or was started by; nil for none.
func (p *process) inTest() *testRun {
	if p.runner != nil && p.runner.test != nil {
		return p.runner.test
	}
	return p.within
}

// endedInTest deals with a test whose process ended in its middle.
func (r *recorder) endedInTest(p *process, st unix.WaitStatus) {
	if p.runner == nil || p.runner.test == nil || r.o.Tests == nil {
		return
	}
	outcome := "crashed"
	if p.runner.test.after {
		outcome = endedAfter(st)
	} else if st.Exited() && p.exitTID != 0 && p.exitTID != p.pid && p.runner.test.minded {
		// pytest-timeout's other method: a thread that ends the process.
		outcome = "timeout"
	}
	r.testOver(p, outcome)
}
