package capture

import (
	"slices"
	"testing"
	"time"

	"pyrr/internal/linux"
	"pyrr/internal/sys"

	"golang.org/x/sys/unix"
)

func TestSlotIsFirstComeFirstServed(t *testing.T) {
	s, all := line(4)
	if s.next(nil) != nil || s.contended() {
		t.Fatal("an empty line has somebody")
	}
	for _, th := range all {
		s.wait(th)
		if th.state != stateReady {
			t.Errorf("thread %d is in line and in state %d", th.tid, th.state)
		}
	}
	var order []int
	for {
		th := s.next(nil)
		if th == nil {
			break
		}
		s.give(th, someTime, 100)
		if s.cur != th {
			t.Fatalf("thread %d got the slot, and %v has it", th.tid, s.cur)
		}
		order = append(order, th.tid)
		s.cur = nil
	}
	if !slices.Equal(order, []int{1, 2, 3, 4}) {
		t.Errorf("they ran as %v", order)
	}
}

func TestSlotHasOneThread(t *testing.T) {
	s, all := line(3)
	s.wait(all[0])
	s.give(s.next(nil), someTime, 1)
	s.wait(all[1])
	s.wait(all[2])
	if th := s.next(nil); th != nil {
		t.Errorf("thread %d got the slot that thread %d has", th.tid, s.cur.tid)
	}
	if !slices.Equal(tids(s.ready), []int{2, 3}) {
		t.Errorf("in line are %v", tids(s.ready))
	}
}

func TestDeadThreadsLeaveTheLine(t *testing.T) {
	s, all := line(5)
	for _, th := range all {
		s.wait(th)
	}
	all[0].dead, all[2].dead = true, true
	s.leave(all[3])
	s.leave(all[3]) // a thread that is not in line can't leave the line
	var order []int
	for th := s.next(nil); th != nil; th = s.next(nil) {
		order = append(order, th.tid)
	}
	if !slices.Equal(order, []int{2, 5}) || s.contended() {
		t.Errorf("they ran as %v, left are %v", order, tids(s.ready))
	}
}

func TestSlotChoice(t *testing.T) {
	s, all := line(4)
	for _, th := range all {
		s.wait(th)
	}
	last := func(line []*task) int { return len(line) - 1 }
	if th := s.next(last); th != all[3] {
		t.Errorf("thread %d was chosen", th.tid)
	}
	if !slices.Equal(tids(s.ready), []int{1, 2, 3}) {
		t.Errorf("in line are %v", tids(s.ready))
	}
	// A dead thread that is chosen is dropped, and the choice is made again.
	all[2].dead = true
	calls := 0
	th := s.next(func(line []*task) int { calls++; return len(line) - 1 })
	if th != all[1] || calls != 2 {
		t.Errorf("thread %v after %d choices", th, calls)
	}
}

func TestSpinningThreadsArePassedOver(t *testing.T) {
	s, all := line(3)
	spun := &spinLoop{}
	for _, th := range all {
		th.spun = spun
		s.wait(th)
	}
	all[1].spun = nil
	if got := firstChanged(s.ready); got != 1 {
		t.Errorf("chosen is %d of %v", got, tids(s.ready))
	}
	all[1].spun = spun
	if got := firstChanged(s.ready); got != 0 {
		t.Errorf("where all wait, chosen is %d", got)
	}
	s.give(s.next(firstChanged), someTime, 1)
	if s.cur.spun != nil {
		t.Error("the running thread is said to wait in a loop")
	}
	// A dead thread is taken out first, whatever it waited for.
	all[1].dead = true
	if got := firstChanged(s.ready); s.ready[got] != all[1] {
		t.Errorf("thread %d is chosen", s.ready[got].tid)
	}
}

func TestSlotIsUsedUp(t *testing.T) {
	s, all := line(1)
	s.give(all[0], someTime, 7)
	for _, tt := range []struct {
		after time.Duration
		want  bool
	}{{0, false}, {sliceTime, false}, {sliceTime + 1, true}, {time.Second, true}} {
		if got := s.used(someTime.Add(tt.after)); got != tt.want {
			t.Errorf("after %v it is %v", tt.after, got)
		}
	}
	if s.slice != 7 {
		t.Errorf("it may execute %d instructions", s.slice)
	}
	s.wait(&task{tid: 2})
	s.clear()
	if s.cur != nil || s.contended() {
		t.Error("somebody is left")
	}
}

// A slot is looked at where its thread may sleep inside a call and others wait.
func TestDoubtfulSlots(t *testing.T) {
	inside := []callMove{moveEnter, moveResume}
	tests := []struct {
		name   string
		moves  []callMove
		state  state
		blocks bool
		line   int
		want   bool
	}{
		{"inside, and one waits", inside, stateRun, true, 1, true},
		{"in the log already", append(slices.Clone(inside), moveLog), stateRun, true, 1, true},
		{"nobody waits", inside, stateRun, true, 0, false},
		{"the call does not wait", inside, stateRun, false, 1, false},
		{"it computes", nil, stateRun, true, 1, false},
		{"it stands before the call", []callMove{moveEnter}, stateRun, true, 1, false},
		{"it is in line itself", inside, stateReady, true, 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, all := line(1 + tt.line)
			cur := all[0].in(tt.moves...)
			cur.state, cur.blocks = tt.state, tt.blocks
			s.cur = cur
			for _, th := range all[1:] {
				s.wait(th)
			}
			if got := s.doubtful(); got != tt.want {
				t.Errorf("doubtful: %v", got)
			}
		})
	}
	if (&slot{ready: []*task{{}}}).doubtful() {
		t.Error("a slot that nobody has is doubtful")
	}
}

func TestLook(t *testing.T) {
	exit := unix.WaitStatus(0x85<<8 | 0x7f)
	tests := []struct {
		name    string
		asleep  bool
		stopped bool
		calm    bool // no doubt
		vfork   bool
		want    look
	}{
		{"it runs in the kernel", false, false, false, false, lookLater},
		{"it sleeps", true, false, false, false, lookAsleep},
		{"it has just stopped", true, true, false, false, lookStopped},
		{"it stopped, and does not sleep", false, true, false, false, lookLater},
		{"nobody waits any more", true, false, true, false, lookNever},
		{"it makes a process that has no number yet", true, false, false, true, lookLater},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := newFakeKernel()
			s, all := line(2)
			s.cur = all[0].in(moveEnter, moveResume)
			s.cur.blocks = true
			if !tt.calm {
				s.wait(all[1])
			}
			if tt.vfork {
				s.cur.class, s.cur.ev.Nr = linux.Process, sys.SYS_VFORK
			}
			k.asleep[1] = tt.asleep
			if tt.stopped {
				k.stops[1] = exit
			}
			got, st := s.look(k)
			if got != tt.want {
				t.Errorf("it comes to %d, not %d", got, tt.want)
			}
			if (got == lookStopped) != (st == exit) {
				t.Errorf("status %#x", st)
			}
			if _, left := k.stops[1]; tt.stopped && got != lookStopped && !left {
				t.Error("a stop was taken in and lost")
			}
		})
	}
}

// A thread that sleeps in a call gives the slot away, and its call is in the log
// before anybody else runs.
func TestSleeperGivesWay(t *testing.T) {
	f := newFakeRecorder(t, Options{})
	p := f.process(f.command, 2)
	sleeper, other := p.tasks[p.pid], p.tasks[p.pid+1]
	p.give(sleeper, time.Now(), 1)
	sleeper.in(moveEnter, moveResume).blocks = true
	sleeper.ev.Nr = sys.SYS_READ
	other.state = stateReady
	other.dead = true // it can't be resumed: there is no such thread
	p.ready = []*task{other}
	f.recheck[p] = true
	events := p.events
	if f.recheckAll() {
		t.Error("something was resumed while the thread runs")
	}
	if p.cur != sleeper || p.events != events {
		t.Fatal("the thread lost the slot while it runs")
	}
	f.k.asleep[sleeper.tid] = true
	if !f.recheckAll() {
		t.Error("nothing came of it")
	}
	if p.cur != nil || sleeper.sys != callLogged || p.events != events+1 {
		t.Errorf("cur %v, call %s, %d events more", p.cur, sleeper.sys, p.events-events)
	}
	if len(f.recheck) != 0 {
		t.Error("a free slot is still looked at")
	}
}

func TestPlacement(t *testing.T) {
	tests := []struct {
		name  string
		cpus  []int
		cpu   int
		stops int
		busy  []int
		want  int
		moves bool
	}{
		{"two on one of two", []int{0, 1}, 0, 0, []int{0, 0}, 1, true},
		{"one on each", []int{0, 1}, 0, 0, []int{0, 1}, 0, false},
		{"two and one", []int{0, 1}, 0, 0, []int{0, 0, 1}, 0, false},
		{"three and one", []int{0, 1}, 0, 0, []int{0, 0, 0, 1}, 1, true},
		{"alone", []int{0, 1}, 0, 0, []int{0}, 0, false},
		{"one processor", []int{0}, 0, 0, []int{0, 0, 0}, 0, false},
		{"it stops often", []int{0, 1}, 0, fewStops + 1, []int{0, 0}, 0, false},
		{"it stops seldom", []int{0, 1}, 0, fewStops, []int{0, 0}, 1, true},
		{"to the emptiest", []int{0, 1, 2, 3}, 0, 0, []int{0, 0, 0, 1, 2}, 3, true},
		{"it is alone where others crowd", []int{0, 1, 2}, 1, 0, []int{0, 0, 0, 1}, 1, false},
		{"to one that may be used", []int{2, 5}, 2, 0, []int{2, 2}, 5, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := placement{home: 0, cpus: tt.cpus}
			if to, moves := p.spread(tt.cpu, tt.stops, tt.busy); to != tt.want || moves != tt.moves {
				t.Errorf("it goes to %d, %v", to, moves)
			}
		})
	}
	p := placement{home: 3}
	for _, tt := range []struct {
		cpu, stops int
		want       bool
	}{{3, manyStops * 10, false}, {1, manyStops, false}, {1, manyStops + 1, true}} {
		if got := p.comesBack(tt.cpu, tt.stops); got != tt.want {
			t.Errorf("on %d with %d stops: %v", tt.cpu, tt.stops, got)
		}
	}
}

// Processes that compute on the same processor are separated; a process that stops often
// comes back to the recorder's processor.
func TestSpreadAndGather(t *testing.T) {
	f := newFakeRecorder(t, Options{})
	one, two := f.process(f.command, 3), f.process(f.command, 1)
	for _, p := range []*process{one, two} {
		p.cur = p.tasks[p.pid]
	}
	f.spreadOut(one)
	if one.cpu != 1 || two.cpu != 0 || len(f.k.placed) != 3 {
		t.Fatalf("they are on %d and %d, %d threads were moved", one.cpu, two.cpu, len(f.k.placed))
	}
	f.spreadOut(two)
	if two.cpu != 0 {
		t.Error("the other process moved too")
	}
	one.beatStops = manyStops
	f.gather()
	if one.cpu != 1 || one.beatStops != 0 {
		t.Errorf("on %d, with %d stops counted", one.cpu, one.beatStops)
	}
	one.beatStops = manyStops + 1
	f.gather()
	if one.cpu != 0 || f.k.placed[one.pid+2] != 0 {
		t.Errorf("the process is on %d, its last thread on %d", one.cpu, f.k.placed[one.pid+2])
	}
}

func TestChaosIsOfItsSeed(t *testing.T) {
	draw := func(seed uint64) (out []uint64) {
		c := newChaos(seed, 5000)
		for range 200 {
			n := c.slice(&task{})
			if n == 0 || n > 5000 {
				t.Fatalf("a slice of %d instructions", n)
			}
			if k := c.pick(3); k < 0 || k > 2 {
				t.Fatalf("thread %d of 3", k)
			}
			out = append(out, n)
		}
		return out
	}
	a := draw(1)
	if !slices.Equal(a, draw(1)) {
		t.Error("one seed gives two schedules")
	}
	if slices.Equal(a, draw(2)) {
		t.Error("two seeds give one schedule")
	}
	short, long := 0, 0
	for i := range uint64(len(chaosScales)) {
		for _, n := range draw(i * chaosTurns) {
			if n <= 20 {
				short++
			} else if n > 2000 {
				long++
			}
		}
	}
	if short < 150 || long < 100 {
		t.Errorf("of 1200 slices %d are a few instructions long, and %d are long", short, long)
	}
}
