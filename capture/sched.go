package capture

import (
	"bytes"
	"encoding/binary"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
	"pyrr/internal/sys"
)

// sliceTime bounds how long a thread keeps the slot by making system calls
// while others are ready; CPython's own switch interval is 5 ms.
const sliceTime = 5 * time.Millisecond

// enqueue puts a stopped thread in line for the slot of its process.
func (r *recorder) enqueue(t *task) error {
	p := t.proc
	p.wait(t)
	if p.cur == nil {
		return r.schedule(p)
	}
	if p.doubtful() {
		r.recheck[p] = true
	}
	r.hasten(t)
	r.expectSpins()
	return nil
}

// release takes the slot from the current thread.
func (r *recorder) release(p *process) {
	p.cur = nil
	delete(r.recheck, p)
}

// schedule gives a free slot to the next ready thread.
func (r *recorder) schedule(p *process) error {
	if p.assembling {
		return nil
	}
	choose := firstChanged
	if r.chaos != nil {
		choose = r.chaos.choose
	}
	for p.mode == modeRecord {
		if r.chaos != nil && len(p.tasks) > 1 && p.cur == nil {
			r.assemble(p)
		}
		t := p.next(choose)
		if t == nil {
			break
		}
		if err := r.grant(t); err != nil {
			if err == errGone || ptrace.Gone(err) {
				// Its end is reported later; until then it keeps the slot.
				return nil
			}
			return err
		}
	}
	return nil
}

// grant gives the slot to a stopped thread and lets it do what it waits for.
func (r *recorder) grant(t *task) error {
	p := t.proc
	slice := r.o.Slice
	if t.number == 0 {
		p.begun++
		t.number = p.begun
	}
	if r.chaos != nil && len(p.tasks) > 1 {
		slice = r.chaos.slice(t)
	}
	p.give(t, time.Now(), slice)
	p.counts = true
	if p.contended() {
		r.expectSpins()
		for _, o := range p.ready {
			r.hasten(o)
		}
	}
	if p.clock != nil || p.pauses.on {
		if _, _, err := r.counters(t, 0, 0); err != nil {
			return err
		}
		if err := r.arm(t, p.slice); err != nil {
			return err
		}
		if err := r.armPauses(t); err != nil {
			return err
		}
	}
	switch t.sys {
	case callReturning, callPrinted:
		t.backFromWait()
		return r.finishCall(t)
	case callInterrupted, callCut:
		return r.deliverAtStop(t)
	default:
		return r.runOn(t)
	}
}

// runOn resumes a thread in user code; signals that wait for it are
// delivered at the next bytecode instruction.
func (r *recorder) runOn(t *task) error {
	if len(t.deferred) > 0 && t.proc.clock != nil {
		if _, _, err := r.counters(t, 0, 0); err != nil {
			return err
		}
		if ok, err := r.deliverable(t); err != nil {
			return err
		} else if ok >= 0 {
			if err := r.armAnywhere(t, 0); err != nil {
				return err
			}
		}
	}
	return r.resume(t, 0)
}

// recheckAll looks at processes whose current thread is inside a call that may
// wait, while others could run. It reports whether anything was resumed.
func (r *recorder) recheckAll() bool {
	did := false
	for p := range r.recheck {
		what, st := p.look(r.kernel)
		switch what {
		case lookNever:
			delete(r.recheck, p)
			continue
		case lookLater:
			continue
		}
		t := p.cur
		did = true
		if what == lookStopped {
			r.handle(t.tid, st)
			continue
		}
		r.giveWay(t)
		r.settle(t, p, r.schedule(p))
	}
	return did
}

// willSleep reports whether the call that a thread stands before is sure to wait:
// for a word that is still what it was. Another thread that changes it before this
// one comes to look makes that call return at once, which is as good.
func (r *recorder) willSleep(t *task) bool {
	const cmdMask, wait, waitBitset = 0x7f, 0, 9 // linux/futex.h
	if t.ev.Nr != sys.SYS_FUTEX {
		return false
	}
	if cmd := t.ev.Args[1] & cmdMask; cmd != wait && cmd != waitBitset {
		return false
	}
	var word [4]byte
	_, err := ptrace.ReadV(t.tid, []ptrace.Span{{Addr: t.ev.Args[0], Data: word[:]}})
	return err == nil && binary.LittleEndian.Uint32(word[:]) == uint32(t.ev.Args[2])
}

// giveWay takes the slot from a thread that waits inside a call.
func (r *recorder) giveWay(t *task) {
	if t.ev.Nr == sys.SYS_FUTEX && t.ev.Args[3] != 0 {
		t.slept = processTime(t.proc.pid)
		r.waitsAgain(t)
	}
	r.logEnter(t)
	r.logWord(t)
	r.release(t.proc)
}

// liveKernel is the one that this machine runs.
type liveKernel struct {
	waits *ptrace.Waits
	stats *threadStats
}

func (k liveKernel) sleeping(tid int) bool                { return k.stats.sleeping(tid) }
func (k liveKernel) poll(tid int) (unix.WaitStatus, bool) { return k.waits.Poll(tid) }
func (liveKernel) place(tid, cpu int)                     { setAffinity(tid, cpu) }

// tick handles a thread whose budget ran out: it stands before an exact
// bytecode instruction.
func (r *recorder) tick(t *task, resumeAt uint64) error {
	if err := ptrace.SetPC(t.tid, resumeAt); err != nil {
		return err
	}
	m, err := r.momentOf(t, recording.StopInstr, nil)
	if err != nil {
		return err
	}
	return r.stopAt(m)
}

// collect handles what has stopped of a process by now.
func (r *recorder) collect(p *process) {
	r.waits.Collect()
	for {
		s, ok := r.waits.Take(func(tid int) bool { o := r.tasks[tid]; return o != nil && o.proc == p })
		if !ok {
			return
		}
		r.handle(s.TID, s.Status)
	}
}

// stopAt handles a thread that stands where a replay finds it: signals come
// here, and others get the slot.
func (r *recorder) stopAt(m *moment) error {
	t, p := m.t, m.t.proc
	p.at = m
	defer func() { p.at = nil }()
	// See what the other threads of the process have become ready for meanwhile.
	r.collect(p)
	if t.dead || p.mode != modeRecord {
		return nil // ended by what just arrived
	}
	r.serveAt(t)
	p.at = nil
	if !m.logged && p.runner != nil && p.runner.expiring() {
		if err := r.expireTestAt(m); err != nil {
			return err
		}
	}
	if !r.expireBy.IsZero() && !m.logged {
		return r.expireAt(m)
	}
	if i, err := r.deliverable(t); err != nil {
		return err
	} else if i >= 0 {
		info := t.deferred[i]
		t.deferred = append(t.deferred[:i], t.deferred[i+1:]...)
		if err := r.arm(t, p.slice); err != nil {
			return err
		}
		if err := r.armPauses(t); err != nil {
			return err
		}
		return r.deliver(m, &info)
	}
	if len(p.ready) > 0 {
		if err := r.switchLog(m); err != nil {
			return err
		}
		return r.goBehind(t)
	}
	r.spreadOut(p)
	if m.stop == recording.StopPause {
		return r.goOnPausing(t)
	}
	if err := r.arm(t, p.slice); err != nil {
		return err
	}
	return r.resume(t, 0)
}

// fewStops is how many stops in a slice a process may have that is moved to
// another processor. A stop costs ten times as much there, and what it gains is
// half a slice, which takes some milliseconds.
const fewStops = 32

// spreadOut moves a busy process to another processor where another busy one
// shares its own: only processes that compute gain from that.
func (r *recorder) spreadOut(p *process) {
	stops := p.stops
	p.stops = 0
	var busy []int
	for _, o := range r.processes {
		if o.mode == modeRecord && o.cur != nil && o.cur.computing() {
			busy = append(busy, o.cpu)
		}
	}
	if to, ok := r.spread(p.cpu, stops, busy); ok {
		r.moveTo(p, to)
	}
}

// manyStops is how many stops a process on another processor than the tracer's
// has from one beat to the next when it is called back: waiting for them takes a
// quarter of its time.
const manyStops = 200

// gather calls processes back that have begun to stop often.
func (r *recorder) gather() {
	for _, p := range r.processes {
		stops := p.beatStops
		p.beatStops = 0
		if p.mode == modeRecord && r.comesBack(p.cpu, stops) {
			r.moveTo(p, r.home)
		}
	}
}

// moveTo moves the threads of a process to a processor.
func (r *recorder) moveTo(p *process, cpu int) {
	p.cpu = cpu
	for _, t := range p.tasks {
		r.kernel.place(t.tid, cpu)
	}
}

func setAffinity(tid, cpu int) {
	var set unix.CPUSet
	set.Set(cpu)
	unix.SchedSetaffinity(tid, &set)
}

// currentCPU is the processor that this thread runs on: field 39 of
// /proc/thread-self/stat (proc(5)).
func currentCPU() (int, bool) {
	b, err := os.ReadFile("/proc/thread-self/stat")
	if err != nil {
		return 0, false
	}
	i := bytes.LastIndexByte(b, ')')
	f := bytes.Fields(b[i+1:])
	const processor = 36 // counted from the field after the name
	if i < 0 || len(f) <= processor {
		return 0, false
	}
	n := 0
	for _, c := range f[processor] {
		n = n*10 + int(c-'0')
	}
	return n, true
}
