package capture

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
	"pyrr/internal/sys"
)

// log appends an event to the log of a process.
func (r *recorder) log(p *process, ev *recording.Event) {
	if p.stream == nil {
		return
	}
	if ev.Time == 0 {
		ev.Time = r.since()
	}
	if err := p.stream.Append(ev); err != nil && !r.writeErr {
		r.writeErr = true
		r.warnf("the recording can't be written: %v", err)
	}
	p.lastTime, p.lastInstr = ev.Time, ev.Instr
	p.events++
	p.ep.events++
}

// reachedBy completes an event that a thread came to by running with what is
// counted between such.
func (r *recorder) reachedBy(p *process, ev *recording.Event) {
	if ev.Stop == recording.StopPause {
		ev.Pauses = p.pauses.since()
	}
	if ev.Stop != recording.StopNone {
		p.pauses.mark = p.pauses.left
	}
}

func (r *recorder) since() int64 { return int64(time.Since(r.start)) }

// logEnter puts a call that has not returned yet into the log.
func (r *recorder) logEnter(t *task) {
	child := int32(0) // named by the event of its return, where it begins
	if t.child != nil && t.child.vfork {
		child = t.ev.Child
	}
	r.logEnterMaking(t, child)
}

// logEnterMaking is logEnter of a call that makes a process and then waits for it.
func (r *recorder) logEnterMaking(t *task, child int32) {
	if !t.sys.unlogged() {
		return
	}
	t.sys.move(moveLog)
	ev := t.ev
	ev.Kind, ev.Child = recording.KindEnter, child
	r.log(t.proc, &ev)
}

// logOpen puts the calls into the log that threads of a process are inside of:
// where its log ends, or something is to be logged that is later than them.
func (r *recorder) logOpen(p *process) {
	for _, t := range p.tasks {
		r.logEnter(t)
	}
}

// logOpenOn is logOpen where the log goes on: a call that is making a process has to name
// it there, so that is waited for. One that was cut short and is to be made again comes
// after what is to be logged.
func (r *recorder) logOpenOn(p *process) {
	for _, t := range p.tasks {
		if !t.making() || t.stopped || t.dead {
			r.logEnter(t)
			continue
		}
		if t.sys == callCut {
			continue
		}
		st, err := r.waits.For(t.tid)
		if err != nil {
			continue // its end comes next
		}
		child, again := uint64(0), false
		if ptrace.Event(st) == unix.PTRACE_EVENT_VFORK {
			child, _ = ptrace.EventMsg(t.tid)
		} else if st.Stopped() {
			ret, err := ptrace.Result(t.tid)
			again = err == nil && isRestart(ret)
		}
		r.waits.Later(ptrace.Stop{TID: t.tid, Status: st})
		if !again {
			r.logEnterMaking(t, int32(child))
		}
	}
}

// making reports whether a thread is about to make a process that it then waits
// for (vfork(2)), and the kernel has not said which: the event of the call has
// to name it, so it can't go into the log yet. That takes a moment.
func (t *task) making() bool {
	if !t.sys.unlogged() || t.child != nil || t.class != linux.Process {
		return false
	}
	switch t.ev.Nr {
	case sys.SYS_VFORK, sys.SYS_CLONE, sys.SYS_CLONE3:
		return true
	}
	return false
}

func readU64(tid int, addr uint64) (uint64, error) {
	var b [8]byte
	if _, err := ptrace.ReadV(tid, []ptrace.Span{{Addr: addr, Data: b[:]}}); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}
