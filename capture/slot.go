package capture

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// A slot is the right of one thread of an address space to run the program's
// code. Who gets it when:
//
//   - One thread has it; the others are in the kernel, or stopped and in line. So
//     what threads do to memory has one order, that of the log.
//   - The line is first come, first served. A thread that was seen to wait in a loop
//     for memory that nobody has written since is passed over as long as there is
//     another.
//   - A thread keeps the slot in a call that may wait until it is seen asleep there
//     while others are in line: most such calls return at once, and giving the slot
//     away costs two events. Its call is in the log before another thread runs. One
//     that has stopped in the meantime, at the end of its call, keeps it.
//   - Who makes calls without end gives the slot away at the end of one, once it has
//     had it for sliceTime; who computes, after a number of instructions (process.slice).
//   - A thread that ends leaves the line; the slot that it had is free.
//
// Slots of different processes have nothing to do with each other. Which processor a
// process runs on is placement's.
type slot struct {
	cur   *task // has it, nil for nobody
	ready []*task
	since time.Time // when cur got it
	slice uint64    // instructions that cur may execute while others are in line
	haste
	coming     int       // how many threads were woken and are not back from their calls yet
	starved    time.Time // until then, who is woken gets the slot, see starve.go
	assembling bool      // see chaos.go
	begun      int       // how many threads have had it
	drops      int       // how often its threads gave the GIL away, see chaos.go
}

// kernel is what the schedule asks of the operating system.
type kernel interface {
	// sleeping reports whether a thread waits in the kernel.
	sleeping(tid int) bool
	// poll takes in the stop of a thread, if it has come to one.
	poll(tid int) (unix.WaitStatus, bool)
	// place moves a thread to a processor.
	place(tid, cpu int)
}

// contended reports whether somebody is in line.
func (s *slot) contended() bool { return len(s.ready) > 0 }

// wait puts a thread at the end of the line.
func (s *slot) wait(t *task) {
	t.state = stateReady
	s.ready = append(s.ready, t)
}

// leave takes a thread out of the line.
func (s *slot) leave(t *task) {
	if i := slices.Index(s.ready, t); i >= 0 {
		s.ready = slices.Delete(s.ready, i, i+1)
	}
}

// next takes the thread out of the line that gets a free slot, nil where there is
// none. choose says which of several; it is first where choose is nil.
func (s *slot) next(choose func([]*task) int) *task {
	for s.cur == nil && len(s.ready) > 0 {
		i := 0
		if choose != nil {
			i = choose(s.ready)
		}
		t := s.ready[i]
		s.ready = slices.Delete(s.ready, i, i+1)
		if !t.dead {
			return t
		}
	}
	return nil
}

// give gives a free slot to a thread.
func (s *slot) give(t *task, now time.Time, slice uint64) {
	s.cur, s.since, s.slice, s.haste = t, now, slice, haste{}
	t.spun = nil
}

// clear takes the slot from whoever has it and sends all home.
func (s *slot) clear() { s.cur, s.ready = nil, nil }

// used reports whether the thread that makes calls has had the slot for long
// enough, or somebody else waited for it.
func (s *slot) used(now time.Time) bool { return now.Sub(s.since) > sliceTime || s.overdue(now) }

// doubtful reports whether cur may be asleep inside a call while others are in
// line, so that somebody has to look.
func (s *slot) doubtful() bool {
	return s.cur != nil && s.contended() && s.cur.inKernel() && s.cur.blocks
}

// What looking at a doubtful slot comes to.
type look uint8

const (
	lookLater   look = iota // nothing can be said yet
	lookStopped             // cur has stopped, with the status
	lookAsleep              // cur waits: the slot goes to another
	lookNever               // there is no doubt any more
)

// look finds out about a slot that was doubtful.
func (s *slot) look(k kernel) (look, unix.WaitStatus) {
	switch {
	case !s.doubtful():
		return lookNever, 0
	case s.cur.making() || !k.sleeping(s.cur.tid):
		return lookLater, 0
	}
	// It may have stopped just now, at its exit; that is no waiting.
	if st, ok := k.poll(s.cur.tid); ok {
		return lookStopped, st
	}
	return lookAsleep, 0
}

// placement says on which processors processes run: all begin on that of the tracer,
// home, where a stop costs a tenth of what it costs across two. One that computes
// goes where fewer do, one that begins to stop often comes back.
type placement struct {
	home int
	cpus []int // that may be used
}

// spread says where a process goes that runs on cpu and has stopped so often in a
// slice; busy is on which processor each process that computes runs.
func (p *placement) spread(cpu, stops int, busy []int) (to int, moves bool) {
	if len(p.cpus) < 2 || stops > fewStops || len(busy) < 2 {
		return cpu, false
	}
	load := map[int]int{}
	for _, c := range busy {
		load[c]++
	}
	to = cpu
	for _, c := range p.cpus {
		if load[c] < load[cpu]-1 && load[c] < load[to] {
			to = c
		}
	}
	return to, to != cpu
}

// comesBack says whether a process has stopped too often since the last beat to be
// away from the tracer.
func (p *placement) comesBack(cpu, stops int) bool { return cpu != p.home && stops > manyStops }
