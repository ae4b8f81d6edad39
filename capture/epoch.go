package capture

import (
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"pyrr/internal/recording"
)

// An epoch is one recording with the processes that it holds. The command's
// own begins with the command. Others begin in the middle of a process that
// runs already, from an image of it, and hold what that process and those
// that it starts do from there on. A process is in one epoch at a time, or in
// none: it is traced and scheduled as ever then, but nothing is written.
//
// The image is a fork of the process that never runs (see freeze.go). The
// kernel copies a page of it only when the process changes that page, so an
// epoch costs a few milliseconds; what it holds is read only if the recording
// is kept.
type epoch struct {
	w     *recording.Writer
	dir   string
	procs int // processes so far, which are numbered from 1
	live  map[*process]bool

	// Of one that began in the middle:
	lead   *process
	name   string // of its test, "" for one that has none
	frozen *frozen
	image  *imageTask      // nil until it is being written
	first  recording.Event // the image except for its memory
	rest   []recording.Event
	began  int64
	from   uint64 // the event at which its last test begins, where it holds more

	ended bool

	events, instructions uint64
	whole                int // processes in it, also ended
}

// Kept is a recording of one test that was kept.
type Kept struct {
	// Test is the test's id, Outcome "timeout", "failed", "crashed" or
	// "cancelled".
	Test, Outcome string
	// From is the event of the first process at which the test begins, where
	// the recording begins before it; else 0.
	From         uint64
	Dir          string
	Procs        int
	Events       uint64
	Instructions uint64
	// Reason is what is the same of tests that failed alike: the exception and the
	// line; "" where none was said.
	Reason string
	// Err says why the recording is not whole, nil where it is.
	Err error
}

// Stuck is a test that did not let itself be interrupted, so that its process was
// ended.
type Stuck struct {
	PID  int
	Root bool // it was the command itself
	// Test is the test's id, Done the ids of those that ended before it in the same
	// process.
	Test  string
	Done  []string
	Why   string // what the test would have been told
	Limit time.Duration
}

// Surplus counts the tests whose recordings would have been kept, had there not
// been enough.
type Surplus struct {
	Same int // with the same reason as Tests.MaxSame others
	More int // after Tests.MaxKept in all
}

// Tests says how to record test by test where the command runs a test runner
// that marks its tests.
type Tests struct {
	// Plugin is the folder of the runner's plugin, for PYTHONPATH.
	Plugin string
	// Limit is how long a test may take that has no limit of its own; 0 is for
	// ever.
	Limit time.Duration
	// Region, where it is not "", is the name of the regions to record, in place of
	// tests, and Keep when to keep a test or a region: always, never, or "" as Limit
	// and Failures say. It stands above what a test asks for.
	Region, Keep string
	// Failures keeps failing tests too, not only those that take too long.
	Failures bool
	// MaxKept is how many recordings to keep, MaxSame how many of tests that
	// failed for the same reason; 0 is all.
	MaxKept, MaxSame int
	// Before is how many recordings there are already that MaxKept counts.
	Before int
	// Path gives the folder to write the recording of a test to, and Final
	// the name by which a user is told of it.
	Path  func(test string) string
	Final func(dir string) string
	// Keeping, where not nil, is called when a recording is to be kept, and what it
	// returns when the recording is complete, by another goroutine.
	Keeping func(dir string) func(Kept)
}

// join makes a process part of an epoch, nil for none.
func (r *recorder) join(p *process, ep *epoch) {
	p.ep = ep
	if ep == nil {
		p.id, p.stream = 0, nil
		return
	}
	ep.procs++
	ep.whole++
	ep.live[p] = true
	p.id = ep.procs
}

// part ends the log of a process in its epoch, but not the process.
func (r *recorder) part(p *process, ev *recording.Event) {
	ep := p.ep
	if ep == nil {
		return
	}
	if p.stream != nil && !p.ended {
		r.log(p, ev)
	}
	r.quit(p)
	p.ep = nil
}

// quit takes a process out of its epoch, whose log of it has ended. Where it
// became another program, that one still belongs there.
func (r *recorder) quit(p *process) {
	ep := p.ep
	if ep == nil || !ep.live[p] {
		return
	}
	ep.instructions += p.base
	delete(ep.live, p)
	p.stream = nil
}

// beginEpoch makes a new epoch that begins with the process of t where it
// stands: t is at the exit of a system call and holds the slot. On an error
// everything is as before.
func (r *recorder) beginEpoch(t *task, dir, test string) (*epoch, error) {
	p := t.proc
	began := time.Now()
	if err := r.canFreeze(t); err != nil {
		return nil, err
	}
	ep := &epoch{dir: dir, live: map[*process]bool{}, lead: p, name: test, began: r.since()}
	if err := r.describeThreads(t, ep); err != nil {
		return nil, err
	}
	var err error
	if ep.frozen, err = r.freeze(t); err != nil && r.attached && r.late == nil && r.o.Tests == nil {
		r.warnf("process %d is not copied (%v): it stands still until its memory is read", p.pid, err)
		ep.frozen, err = r.freezeItself(t)
	}
	if err != nil {
		return nil, err
	}
	h := r.header
	h.Test = test
	h.Started = time.Now()
	ep.w = recording.Hold(dir, h)
	ep.w.PackLater(r.o.packLater(dir))
	old := p.ep
	end := recording.Event{Kind: recording.KindEnd, TID: int32(p.pid), Instr: p.base, Why: recording.EndTest, Text: "a recording of a test begins"}
	if old != nil {
		r.part(p, &end)
		r.abandoned(old)
	}
	r.join(p, ep)
	ep.first.Proc.ID = p.id
	p.stream = ep.w.Stream(p.id)
	p.stream.Reserve(uint64(1 + len(ep.rest)))
	p.base, p.lastInstr, p.events, p.nextSum = 0, 0, uint64(1+len(ep.rest)), 0
	p.pauses.mark = p.pauses.left
	if err := r.tellClock(t); err != nil {
		return nil, err
	}
	r.epochs.list = append(r.epochs.list, ep)
	r.took = append(r.took, time.Since(began))
	return ep, nil
}

// abandoned throws the command's own epoch away when nothing is in it any
// more.
func (r *recorder) abandoned(ep *epoch) {
	if ep == r.command && len(ep.live) == 0 {
		ep.w.Discard()
		ep.ended, r.command = true, nil
	}
}

// beginsAnew says whether a process's next test begins a recording of its
// own, so that the end of the present one needs not be that of its tracing.
func (r *recorder) beginsAnew(p *process) bool { return p.runner != nil && r.o.Tests != nil }

// endHere ends the recording that a runner of tests is in, because of a call
// that can't be recorded.
func (r *recorder) endHere(p *process, why error) {
	ep := p.ep
	switch {
	case ep == nil:
		return
	case ep.lead == p:
		if p.device == "" {
			r.warnf("%s: its recording stopped: %v; the next test has one again", ep.name, why)
		}
		r.endEpoch(ep, recording.EndDetached, why.Error())
	default:
		r.part(p, &recording.Event{Kind: recording.KindEnd, TID: int32(p.pid), Instr: r.countNow(p), Why: recording.EndDetached, Text: why.Error()})
		r.abandoned(ep)
	}
}

// endEpoch ends an epoch: what is in it goes on unrecorded.
func (r *recorder) endEpoch(ep *epoch, why, text string) {
	for p := range ep.live {
		r.logOpen(p)
		r.part(p, &recording.Event{Kind: recording.KindEnd, TID: int32(p.pid), Instr: r.countNow(p), Why: why, Text: text})
	}
	ep.ended = true
	for i, e := range r.epochs.list {
		if e == ep {
			r.epochs.list = append(r.epochs.list[:i], r.epochs.list[i+1:]...)
			break
		}
	}
}

// forget takes an epoch that is to be thrown away from the tests that it is of.
func (r *recorder) forget(ep *epoch) {
	for _, p := range r.processes {
		if run := p.runner; run != nil && run.test != nil && run.test.ep == ep {
			run.test.ep = nil
		}
	}
	if r.late == ep {
		r.late = nil
	}
}

// drop throws away an epoch that has ended.
func (r *recorder) drop(ep *epoch) {
	r.thaw(ep.frozen)
	ep.frozen = nil
	image := ep.image
	if image == nil {
		ep.w.Discard()
	}
	if image == nil && ep.w.Written() == 0 {
		return
	}
	r.writing.Add(1)
	go func() {
		defer r.writing.Done()
		if image != nil {
			<-image.done
			ep.w.Discard()
		}
		ep.w.Gone()
	}()
}

// keep writes out an epoch that has ended, in the background. reason is why its test
// failed, "" where that was not said.
func (r *recorder) keep(ep *epoch, outcome, reason string) {
	k := &Kept{Test: ep.name, Outcome: outcome, Reason: reason, Dir: ep.dir, From: ep.from, Procs: ep.whole, Events: ep.events, Instructions: ep.instructions}
	r.kept = append(r.kept, k)
	sum := recording.Summary{Ended: time.Now(), Outcome: outcome, Events: ep.events, Instructions: ep.instructions, Memory: peak(ep.lead.pid)}
	if outcome == recording.EndTimeout {
		sum.Why = recording.EndTimeout
	}
	f := ep.frozen
	ep.frozen = nil
	ep.writeImage(f)
	done := func(Kept) {}
	if tests := r.o.Tests; tests != nil && tests.Keeping != nil {
		done = tests.Keeping(ep.dir)
	}
	r.writing.Add(1)
	go func() {
		defer r.writing.Done()
		defer f.end()
		k.Err = ep.close(sum)
		done(*k)
	}()
}

// spillAfter is how old an epoch is when it begins to be written to the disk
// as it goes: a recorder that is killed leaves what there is of a test that
// takes so long.
const spillAfter = 5 * time.Second

// spill writes out what has become old. An image that is written needs its process no
// more, which holds all memory that the program has changed since.
func (r *recorder) spill() {
	for _, ep := range r.epochs.list {
		if ep.frozen == nil {
			continue
		}
		switch {
		case ep.image == nil && time.Duration(r.since()-ep.began) > spillAfter:
			if r.roomToWrite() {
				ep.writeImage(ep.frozen)
			}
		case ep.image != nil && ep.image.written() && ep != r.late: // that one's end waits for it
			r.thaw(ep.frozen)
			ep.frozen = nil
		}
	}
}

// finishEpochs waits for recordings that are being written.
func (r *recorder) finishEpochs() {
	if ep := r.late; ep != nil {
		r.endEpoch(ep, recording.EndTest, "the command ended")
		r.keep(ep, "", "")
	}
	for _, ep := range r.epochs.list {
		r.drop(ep)
	}
	r.epochs.list = nil
	r.writing.Wait()
}

type epochs struct {
	command  *epoch // of the whole command; nil once it is thrown away
	list     []*epoch
	kept     []*Kept
	writing  sync.WaitGroup
	header   recording.Header
	runners  bool            // a test runner was seen
	preparer *process        // makes environments for tests, none of which was seen
	clients  []string        // container clients that were executed
	pypy     bool            // a PyPy was executed
	took     []time.Duration // for each image
	surplus  Surplus
	stuck    []Stuck
	reasons  map[string]int // how many recordings were kept of each
	late     *epoch         // of Options.From
	images   bool           // may be taken at any system call
}

// lateDir is where a recording goes that begins in the middle.
func (r *recorder) lateDir(n int) string {
	return fmt.Sprintf("%s.%d", filepath.Clean(r.o.Dir), n)
}

// flush hands what was logged to the disk, and ends recordings that can't be
// written.
func (r *recorder) flush() {
	if ep := r.command; ep != nil {
		ep.w.Flush()
		if err := ep.w.Err(); err != nil && !r.writeErr {
			r.writeErr = true
			r.leaveAll(fmt.Sprintf("the recording can't be written: %v", err))
		}
	}
	for _, ep := range append([]*epoch(nil), r.epochs.list...) {
		ep.w.Flush()
		if err := ep.w.Err(); err != nil {
			r.warnf("the recording of %s can't be written: %v", ep.name, err)
			r.endEpoch(ep, recording.EndDetached, err.Error())
			r.forget(ep)
			r.drop(ep)
		}
	}
}

// beginLate begins the recording in the middle of the command (Options.From).
func (r *recorder) beginLate(t *task) {
	r.o.From = 0
	ep, err := r.beginEpoch(t, r.lateDir(1), "")
	if err != nil {
		r.warnf("no recording from event %d on: %v", t.proc.events, err)
		return
	}
	r.late = ep
}

// bound ends what has become too large or too long.
func (r *recorder) bound() {
	over := func(ep *epoch) string {
		switch {
		case r.o.MaxSize > 0 && ep.w.Written() > r.o.MaxSize:
			return "it reached --max-size"
		case r.o.MaxTime > 0 && time.Duration(r.since()-ep.began) > r.o.MaxTime:
			return "it reached --max-time"
		}
		return ""
	}
	if ep := r.command; ep != nil && len(ep.live) > 0 {
		if why := over(ep); why != "" {
			for p := range ep.live {
				if r.o.Tests == nil {
					r.leave(p, why)
					continue
				}
				// It may be about to run tests, which have recordings of their own.
				r.part(p, &recording.Event{Kind: recording.KindEnd, TID: int32(p.pid), Instr: r.countNow(p), Why: recording.EndDetached, Text: why})
			}
		}
	}
	for _, ep := range append([]*epoch(nil), r.epochs.list...) {
		// What there is of it is kept if its test turns out to be wanted.
		if why := over(ep); why != "" {
			r.warnf("%s: its recording stopped: %s; the test goes on", ep.name, why)
			r.endEpoch(ep, recording.EndDetached, why)
		}
	}
}
