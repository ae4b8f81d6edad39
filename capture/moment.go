package capture

import (
	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// moment is a place that a thread has reached by running, read while it is
// stopped there. Nothing that a thread came to can be logged without one, so
// nothing is logged with a count that was read elsewhere.
type moment struct {
	t    *task
	stop recording.Stop // how a replay gets there
	// count is how many instructions the thread's process had executed, and readings
	// how many readings were in its buffer.
	count    uint64
	readings int
	regs     linux.Regs
	// logged: an event stands for the place, and what follows stands there too.
	logged bool
}

// momentOf reads where a stopped thread stands. regs are its registers, as far as
// they are known already.
func (r *recorder) momentOf(t *task, stop recording.Stop, regs *linux.Regs) (*moment, error) {
	m, _, err := r.momentIn(t, stop, regs, 0, 0)
	return m, err
}

// momentIn is momentOf that also reads at most n bytes of an input argument, in
// the same call to the kernel.
func (r *recorder) momentIn(t *task, stop recording.Stop, regs *linux.Regs, addr uint64, n int) (m *moment, in []byte, err error) {
	m = &moment{t: t, stop: stop}
	if in, m.readings, err = r.counters(t, addr, n); err != nil {
		return nil, nil, err
	}
	if regs != nil {
		m.regs = *regs
	} else if err := ptrace.GetRegs(t.tid, &m.regs); err != nil {
		return nil, nil, err
	}
	m.count = t.proc.base
	return m, in, nil
}

// standing is the moment of a thread that has not run since its last event.
func standing(t *task) *moment { return &moment{t: t, count: t.proc.base, logged: true} }

// complete makes ev the event that is logged of a moment: the first one says how
// to get there and takes what the buffers of the process hold.
func (r *recorder) complete(m *moment, ev *recording.Event) (err error) {
	ev.TID, ev.Instr, ev.Stop = int32(m.t.tid), m.count, recording.StopNone
	if m.logged {
		return nil
	}
	m.logged = true
	ev.Stop, ev.PC, ev.RegSum = m.stop, m.regs.PC(), recording.RegSum(&m.regs)
	if m.t.proc.area != nil {
		if ev.Readings, err = r.takeBuffers(m); err != nil {
			return err
		}
	}
	r.reachedBy(m.t.proc, ev)
	return nil
}

// logAt logs what happened at a moment.
func (r *recorder) logAt(m *moment, ev *recording.Event) error {
	if err := r.complete(m, ev); err != nil {
		return err
	}
	r.log(m.t.proc, ev)
	return nil
}
