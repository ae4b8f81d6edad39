package capture

import (
	"fmt"

	"golang.org/x/sys/unix"

	"pyrr/internal/inject"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// A thread in native code that waits for another one in a loop makes no system
// call and runs no bytecode: it would keep the slot for ever. Such loops contain
// the instruction pause, or a row of nops. In the place of these stands a jump
// to a stub that counts (inject.BuildPauses), and traps when so many were
// passed as the recorder said. That makes a place where a thread can be stopped
// and found again: the event before, and the number of pauses since.

const (
	// pauseSlice is how many pauses a thread may pass while others are ready:
	// less time than a switch takes.
	pauseSlice = 2000
	// pauseMost bounds the same for a thread that nobody was found to wait for.
	pauseMost = 1 << 17
)

// pauses is what counts the pauses of an address space.
type pauses struct {
	on    bool
	areas []span // of stubs
	find  []pendingPauses
	left  uint64 // what the cell said at the last stop
	mark  uint64 // and at the last event that counts, as if not set since
	slice uint64 // for a thread that is alone
}

// pendingPauses is code that was just mapped.
type pendingPauses struct {
	sites []inject.PauseSite
	bias  uint64
	at    span
}

// pausesMapped notes the pauses of a file whose code was mapped.
func (p *process) pausesMapped(self string, bias func() (uint64, error), start, end, off uint64) {
	if p.area == nil {
		return
	}
	all, err := inject.PausesCached(self)
	if err != nil || len(all) == 0 {
		return
	}
	var sites []inject.PauseSite
	for _, s := range all {
		if s.Off >= off && s.Off+uint64(s.Len()) <= off+(end-start) {
			sites = append(sites, s)
		}
	}
	if b, err := bias(); err == nil && len(sites) > 0 {
		p.pauses.find = append(p.pauses.find, pendingPauses{sites, b, span{start, end}})
	}
}

// pauseCell is the address of the count.
func (p *process) pauseCell() uint64 { return p.area.Base + inject.PauseOff }

// installPauses puts stubs in the place of pauses. It must be called where
// installCalls may be: nothing of the code has run yet.
func (r *recorder) installPauses(t *task) error {
	p := t.proc
	list := p.pauses.find
	p.pauses.find = nil
	for i := range list {
		if err := r.installPausesOf(t, &list[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *recorder) installPausesOf(t *task, find *pendingPauses) error {
	p := t.proc
	at, size, err := r.pausesArea(t, find)
	if err != nil {
		return err
	}
	if at == 0 {
		return nil // it goes without
	}
	img, err := inject.BuildPauses(at, find.bias, p.pauseCell(), find.sites)
	if err != nil {
		return nil
	}
	ev := &recording.Event{Kind: recording.KindWrite, TID: int32(t.tid), Instr: p.base, Args: recording.Clock{Pauses: p.pauseCell()}.Words()}
	if size > 0 {
		ev.Maps = []recording.Mapping{{Start: at, End: at + size, Prot: unix.PROT_READ | unix.PROT_EXEC, Name: namePauses}}
		p.pauses.areas = append(p.pauses.areas, span{at, at + size})
	}
	for _, s := range img.Traps {
		addr := find.bias + s.Vaddr
		p.patches[addr] = patch{site: s}
		img.Writes = append(img.Writes, inject.Write{Addr: addr, Data: s.Trap()})
	}
	for _, w := range img.Writes {
		if w.Addr < at || w.Addr >= at+size {
			if err := r.keepFormer(t, w.Addr, len(w.Data)); err != nil {
				return err
			}
		}
	}
	if err := ptrace.WriteV(t.tid, spansOf(img.Writes)); err != nil {
		return err
	}
	for _, w := range img.Writes {
		ev.Mem = append(ev.Mem, recording.Write{Addr: w.Addr, Data: w.Data})
	}
	r.log(p, ev)
	if !p.pauses.on {
		p.pauses.on, p.pauses.slice = true, pauseSlice
		p.pauses.left, p.pauses.mark = inject.PauseNone, inject.PauseNone
	}
	return nil
}

// paused reports whether a thread that was trapped stands in a stub.
func (p *process) paused(pc uint64) bool {
	for _, a := range p.pauses.areas {
		if pc >= a.start && pc < a.end {
			return inject.PauseTrapped(a.start, pc)
		}
	}
	return false
}

// since is how many pauses were passed since the last event that counts.
func (p *pauses) since() uint64 { return p.mark - p.left }

// armPauses sets how many pauses a stopped thread may pass, at most.
func (r *recorder) armPauses(t *task) error {
	p := &t.proc.pauses
	if !p.on {
		return nil
	}
	n := p.slice
	if len(t.proc.ready) > 0 {
		n = pauseSlice
	}
	if p.left > 0 && p.left <= n {
		return nil
	}
	if err := ptrace.WriteU64(t.tid, t.proc.pauseCell(), n); err != nil {
		return fmt.Errorf("set the pauses of thread %d: %w", t.tid, err)
	}
	p.mark, p.left = n+p.since(), n
	return nil
}

// pausedOut handles a thread that has passed as many pauses as it might.
func (r *recorder) pausedOut(t *task) error {
	m, err := r.momentOf(t, recording.StopPause, nil)
	if err != nil {
		return err
	}
	return r.stopAt(m)
}

// goOnPausing lets a thread go on where nobody wants its slot.
func (r *recorder) goOnPausing(t *task) error {
	p := &t.proc.pauses
	p.slice = min(2*p.slice, pauseMost)
	if err := r.armPauses(t); err != nil {
		return err
	}
	return r.resume(t, 0)
}

// trapRun is how many trapped instructions in a row make a wait: one that looks
// at the time stamp counter to see how long it takes.
const trapRun = 32

// afterTrap lets a thread go on behind a trap that was answered and is in the
// log, or another one where the first waits. Signals are delivered here, too.
func (r *recorder) afterTrap(t *task, waits bool) error {
	p := t.proc
	if p.trapAt+1 < p.events {
		p.traps = 0
	}
	p.traps, p.trapAt = p.traps+1, p.events
	if i, err := r.deliverable(t); err != nil {
		return err
	} else if i >= 0 {
		info := t.deferred[i]
		t.deferred = append(t.deferred[:i], t.deferred[i+1:]...)
		return r.deliver(standing(t), &info)
	}
	if len(p.ready) == 0 || !waits && p.traps < trapRun && !r.slotExpired(p) {
		return r.resume(t, 0)
	}
	return r.goBehind(t)
}

// goBehind puts a thread that could go on behind those that are ready.
func (r *recorder) goBehind(t *task) error {
	p := t.proc
	r.release(p)
	p.wait(t)
	return r.schedule(p)
}

// clone is what a fork has of it.
func (p *pauses) clone() pauses {
	out := *p
	out.areas = append([]span(nil), p.areas...)
	out.find = nil
	out.mark = out.left
	return out
}

// switchLog logs that a thread stands where another one goes on, unless an event
// stands for that already.
func (r *recorder) switchLog(m *moment) error {
	if m.logged {
		return nil
	}
	return r.logAt(m, &recording.Event{Kind: recording.KindSwitch})
}
