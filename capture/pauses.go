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
func (sp *space) pausesMapped(self string, bias func() (uint64, error), start, end, off uint64) {
	if sp.area == nil {
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
		sp.pauses.find = append(sp.pauses.find, pendingPauses{sites, b, span{start, end}})
	}
}

// pauseCell is the address of the count.
func (sp *space) pauseCell() uint64 { return sp.area.Base + inject.PauseOff }

// installPauses puts stubs in the place of pauses. It must be called where
// installCalls may be: nothing of the code has run yet.
func (r *recorder) installPauses(t *task) error {
	sp := t.sp
	list := sp.pauses.find
	sp.pauses.find = nil
	for i := range list {
		if err := r.installPausesOf(t, &list[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *recorder) installPausesOf(t *task, find *pendingPauses) error {
	sp := t.sp
	at, size, err := r.pausesArea(t, find)
	if err != nil {
		return err
	}
	if at == 0 {
		return nil // it goes without
	}
	img, err := inject.BuildPauses(at, find.bias, sp.pauseCell(), find.sites)
	if err != nil {
		return nil
	}
	ev := &recording.Event{Kind: recording.KindWrite, TID: int32(t.tid), Instr: sp.base, Args: recording.Clock{Pauses: sp.pauseCell()}.Words()}
	if size > 0 {
		ev.Maps = []recording.Mapping{{Start: at, End: at + size, Prot: unix.PROT_READ | unix.PROT_EXEC, Name: namePauses}}
		sp.pauses.areas = append(sp.pauses.areas, span{at, at + size})
	}
	for _, s := range img.Traps {
		addr := find.bias + s.Vaddr
		sp.patches[addr] = patch{site: s}
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
	r.log(sp, ev)
	if !sp.pauses.on {
		sp.pauses.on, sp.pauses.slice = true, pauseSlice
		sp.pauses.left, sp.pauses.mark = inject.PauseNone, inject.PauseNone
	}
	return nil
}

// paused reports whether a thread that was trapped stands in a stub.
func (sp *space) paused(pc uint64) bool {
	for _, a := range sp.pauses.areas {
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
	p := &t.sp.pauses
	if !p.on {
		return nil
	}
	n := p.slice
	if len(t.sp.ready) > 0 {
		n = pauseSlice
	}
	if p.left > 0 && p.left <= n {
		return nil
	}
	if err := ptrace.WriteU64(t.tid, t.sp.pauseCell(), n); err != nil {
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
	p := &t.sp.pauses
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
	sp := t.sp
	if sp.trapAt+1 < sp.events {
		sp.traps = 0
	}
	sp.traps, sp.trapAt = sp.traps+1, sp.events
	if i, err := r.deliverable(t); err != nil {
		return err
	} else if i >= 0 {
		info := t.deferred[i]
		t.deferred = append(t.deferred[:i], t.deferred[i+1:]...)
		return r.deliver(standing(t), &info)
	}
	if len(sp.ready) == 0 || !waits && sp.traps < trapRun && !r.slotExpired(sp) {
		return r.resume(t, 0)
	}
	return r.goBehind(t)
}

// goBehind puts a thread that could go on behind those that are ready.
func (r *recorder) goBehind(t *task) error {
	sp := t.sp
	r.release(sp)
	sp.wait(t)
	return r.schedule(sp)
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
