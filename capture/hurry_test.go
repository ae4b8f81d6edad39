package capture

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/cpython"
	"pyrr/internal/ptrace"
	"pyrr/internal/sys"
)

// withTimers gives a recorder the timers of a schedule; here nothing runs them.
func withTimers(t *testing.T, f *fakeRecorder) *fakeRecorder {
	t.Helper()
	runtime.LockOSThread()
	waits, err := ptrace.NewWaits()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		waits.Close()
		runtime.UnlockOSThread()
	})
	f.waits = waits
	f.spins.timer = waits.Timer(f.lookForSpins)
	f.hurry = waits.Timer(f.hurryOn)
	return f
}

// counted is a process that counts, whose first thread computes.
func counted(f *fakeRecorder, n int) (p *process, all []*task) {
	p = f.process(f.command, n)
	p.clock = &cpython.Installed{}
	for i := range n {
		all = append(all, p.tasks[p.pid+i])
	}
	p.give(all[0], time.Now(), 1000)
	return p, all
}

func TestAskIn(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct{ waited, used, want time.Duration }{
		{5 * ms, 5 * ms, 0},               // the program ran all the time
		{5 * ms, 8 * ms, 0},               // on two processors
		{5 * ms, 1 * ms, 4 * ms},          // the machine did something else
		{5 * ms, 0, 5 * ms},               // at most it doubles
		{longestAsk, 0, longestAsk},       // the longest wait that counts as one for the GIL
		{longestAsk + 1, 0, wakeSoon},     // a wait of the program's own
		{time.Hour, time.Hour, wakeSoon},  // likewise
		{wakeSoon / 2, 0, wakeSoon / 2},   // a short one is not made longer
		{5 * ms, -1 * ms, 5 * ms},         // a clock that was read a moment late
		{longestAsk, longestAsk - ms, ms}, // what is left of it
	} {
		if got := askIn(tt.waited, tt.used); got != tt.want {
			t.Errorf("after %v, with %v of a processor: %v, not %v", tt.waited, tt.used, got, tt.want)
		}
	}
}

// The wait for a thread that comes back from a call is limited; a thread in line that
// computes waits for its turn, and so do all where nothing is counted.
func TestHasten(t *testing.T) {
	const gil = 5 * time.Millisecond
	timedOut := func(f *fakeRecorder, th *task, ran time.Duration) {
		th.ev.Nr, th.lastRet, th.ev.Args[3] = sys.SYS_FUTEX, -int64(unix.ETIMEDOUT), 1
		th.ev.Time = f.since() - int64(gil)
		th.slept = -ran // its process does not exist, so it has used no time since
	}
	for _, tt := range []struct {
		name string
		set  func(f *fakeRecorder, p *process, th *task)
		in   time.Duration // from now, -1 for never
		once bool
	}{
		{"back from a read", func(_ *fakeRecorder, _ *process, th *task) { th.ev.Nr = sys.SYS_READ }, wakeSoon, false},
		{"its wait for the GIL is over", func(f *fakeRecorder, _ *process, th *task) { timedOut(f, th, gil) }, 0, true},
		{"over, but the program had no processor", func(f *fakeRecorder, _ *process, th *task) { timedOut(f, th, 0) }, gil, true},
		{"woken from a wait with a time-out", func(f *fakeRecorder, _ *process, th *task) { timedOut(f, th, 0); th.lastRet = 0 }, wakeSoon, false},
		{"a wait without a time-out", func(f *fakeRecorder, _ *process, th *task) { timedOut(f, th, 0); th.ev.Args[3] = 0 }, wakeSoon, false},
		{"it computed", func(_ *fakeRecorder, _ *process, th *task) { th.sys = callNone }, -1, false},
		{"nothing is counted", func(_ *fakeRecorder, p *process, _ *task) { p.clock = nil }, -1, false},
		{"nobody has the slot", func(_ *fakeRecorder, p *process, _ *task) { p.cur = nil }, -1, false},
		{"the order is drawn", func(f *fakeRecorder, _ *process, _ *task) { f.chaos = newChaos(1, 1000) }, -1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var f *fakeRecorder
			var p *process
			var began time.Time
			for time.Since(began) > time.Millisecond { // a machine that stood still adds to what was waited
				var all []*task
				f = withTimers(t, newFakeRecorder(t, Options{}))
				p, all = counted(f, 2)
				all[1].in(moveEnter, moveLog, moveWait)
				began = time.Now()
				tt.set(f, p, all[1])
				f.hasten(all[1])
			}
			if tt.in < 0 {
				if !p.due.IsZero() || f.hurry.Pending() {
					t.Errorf("it is due %v", p.due)
				}
				return
			}
			late := p.due.Sub(began.Add(tt.in))
			if late < -time.Millisecond || late > time.Since(began)+time.Millisecond || p.atOnce != tt.once {
				t.Errorf("it is due in %v, at once %v; want %v, %v", p.due.Sub(began), p.atOnce, tt.in, tt.once)
			}
			if !f.hurry.Pending() || !f.hurryAt.Equal(p.due) {
				t.Errorf("it is looked at %v, due %v", f.hurryAt, p.due)
			}
		})
	}
}

// The first thread that waits decides when it is time, unless another may wait less long; a
// thread that comes later does not delay it.
func TestHasteIsOfTheMostUrgent(t *testing.T) {
	f := withTimers(t, newFakeRecorder(t, Options{}))
	p, all := counted(f, 4)
	for _, th := range all[1:] {
		th.in(moveEnter, moveLog, moveWait).ev.Nr = sys.SYS_READ
	}
	f.hasten(all[1])
	first := p.due
	time.Sleep(time.Millisecond)
	f.hasten(all[2])
	if !p.due.Equal(first) || p.atOnce {
		t.Errorf("a later thread moved the time by %v", p.due.Sub(first))
	}
	all[3].ev.Nr, all[3].lastRet, all[3].ev.Args[3] = sys.SYS_FUTEX, -int64(unix.ETIMEDOUT), 1
	all[3].ev.Time, all[3].slept = f.since()-int64(time.Millisecond), -time.Hour
	p.due = first.Add(time.Hour)
	f.hasten(all[3])
	if !p.due.Before(first.Add(time.Hour)) || !p.atOnce {
		t.Errorf("the thread that waited for the GIL is not first: %v, at once %v", p.due.Sub(first), p.atOnce)
	}
	// The next thread in the slot owes nothing to threads that waited for the previous one.
	p.give(all[1], time.Now(), 1000)
	if !p.due.IsZero() || p.atOnce {
		t.Error("the debt went on with the slot")
	}
}

// A thread is interrupted once others have waited long enough and it had a processor
// meanwhile; otherwise it is looked at again later.
func TestHurryOn(t *testing.T) {
	now := time.Now()
	var zero time.Time
	for _, tt := range []struct {
		name string
		due  time.Time
		set  func(p *process, cur *task)
		left time.Time // what is due afterwards
		look time.Time // when it is looked at again
	}{
		{"not yet", now.Add(time.Second), nil, now.Add(time.Second), now.Add(time.Second)},
		{"who asked for the GIL", now, func(p *process, _ *task) { p.atOnce = true }, zero, zero},
		{"it had its time of a processor", now, func(p *process, _ *task) { p.began = -wakeSoon }, zero, zero},
		{"just half of it", now, func(p *process, _ *task) { p.began = -wakeSoon / 2 }, zero, zero},
		{"it had no processor", now, nil, now.Add(wakeSoon), now.Add(wakeSoon)},
		{"it is in a call", now, func(p *process, cur *task) { p.atOnce = true; cur.in(moveEnter, moveResume) }, now, zero},
		{"it stopped by itself", now, func(p *process, cur *task) { p.atOnce, cur.stopped = true, true }, now, zero},
		{"it was interrupted before", now, func(p *process, cur *task) { p.atOnce, cur.probed = true, true }, now, zero},
		{"nobody is in line any more", now, func(p *process, _ *task) { p.atOnce, p.ready = true, nil }, now, zero},
		{"nobody has the slot", now, func(p *process, _ *task) { p.atOnce, p.cur = true, nil }, now, zero},
		{"it is not recorded any more", now, func(p *process, _ *task) { p.atOnce, p.mode = true, modeLeave }, now, zero},
		{"nobody waits", zero, func(p *process, _ *task) { p.atOnce = true }, zero, zero},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := withTimers(t, newFakeRecorder(t, Options{}))
			p, all := counted(f, 2)
			p.wait(all[1])
			p.due = tt.due
			if tt.set != nil {
				tt.set(p, all[0])
			}
			f.hurryOn(now)
			if !p.due.Equal(tt.left) {
				t.Errorf("due in %v, not %v", p.due.Sub(now), tt.left.Sub(now))
			}
			if f.hurry.Pending() != !tt.look.IsZero() || f.hurry.Pending() && !f.hurryAt.Equal(tt.look) {
				t.Errorf("it is looked at in %v, pending %v; want %v", f.hurryAt.Sub(now), f.hurry.Pending(), tt.look.Sub(now))
			}
		})
	}
}

// Of several processes the one that is due first is looked at first, and none keeps
// another from it.
func TestHurryIsForAllProcesses(t *testing.T) {
	f := withTimers(t, newFakeRecorder(t, Options{}))
	now := time.Now()
	due := []time.Duration{3 * time.Millisecond, 0, time.Millisecond, 2 * time.Millisecond}
	var procs []*process
	for _, in := range due {
		p, all := counted(f, 2)
		p.wait(all[1])
		p.due, p.atOnce = now.Add(in), true
		procs = append(procs, p)
	}
	f.hurryOn(now)
	if !procs[1].due.IsZero() {
		t.Error("the process that was due is not asked")
	}
	if !f.hurry.Pending() || !f.hurryAt.Equal(now.Add(time.Millisecond)) {
		t.Errorf("looked at in %v", f.hurryAt.Sub(now))
	}
	f.hurryOn(now.Add(2 * time.Millisecond))
	if !procs[2].due.IsZero() || !procs[3].due.IsZero() || procs[0].due.IsZero() || !f.hurryAt.Equal(now.Add(3*time.Millisecond)) {
		t.Errorf("then in %v", f.hurryAt.Sub(now))
	}
	f.hurryBy(now.Add(time.Hour)) // later: does not put it off
	if !f.hurryAt.Equal(now.Add(3 * time.Millisecond)) {
		t.Error("a later process delayed the look")
	}
	f.hurryBy(now)
	if !f.hurryAt.Equal(now) {
		t.Error("an earlier one waits for the later")
	}
}

// A thread that makes calls without end, for example by polling, gives way at the end of a
// call: when its time is over, or as soon as another thread has waited long enough.
func TestPollersGiveWay(t *testing.T) {
	for _, tt := range []struct {
		name   string
		had    time.Duration
		due    time.Duration // when it is a waiting thread's turn, from now; -1 for nobody
		atCall bool
		want   bool
	}{
		{"its time is not over", -time.Hour, -1, false, false}, // however long the test stands still
		{"its time is over", 2 * sliceTime, -1, false, true},
		{"somebody waits, not for long", -time.Hour, time.Hour, false, false},
		{"somebody has waited for long enough", -time.Hour, -2, false, true},
		{"it was told to at its next call", -time.Hour, -1, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeRecorder(t, Options{})
			p, _ := counted(f, 2)
			p.since, p.atCall = time.Now().Add(-tt.had), tt.atCall
			if tt.due != -1 {
				p.due = time.Now().Add(tt.due)
			}
			if got := f.slotExpired(p); got != tt.want {
				t.Errorf("it gives way: %v", got)
			}
		})
	}
	f := newFakeRecorder(t, Options{Schedule: Schedule{Chaos: true, Seed: 3, Slice: 1000}})
	p, _ := counted(f, 2)
	p.since = time.Now().Add(-time.Hour)
	drawn := 0
	for range 2000 {
		if f.slotExpired(p) {
			drawn++
		}
	}
	if drawn < 50 || drawn > 200 {
		t.Errorf("where the order is drawn, %d of 2000 calls end a turn", drawn)
	}
}

// kindOf is what a thread of TestTurnsAreFair does with the slot.
type kindOf int

const (
	computes kindOf = iota // until its slice is over
	polls                  // calls that return, until its time is over
	sleeps                 // in a call, for some turns of the others
)

// The line is fair whatever its threads do: no thread waits longer than one turn of each
// other thread, and threads that work all the time get equally many turns.
func TestTurnsAreFair(t *testing.T) {
	for _, tt := range []struct {
		name  string
		kinds []kindOf
	}{
		{"all compute", []kindOf{computes, computes, computes}},
		{"one polls", []kindOf{polls, computes, computes, computes}},
		{"all poll", []kindOf{polls, polls, polls, polls, polls}},
		{"some sleep", []kindOf{computes, sleeps, polls, sleeps, computes}},
		{"one works, many sleep", []kindOf{sleeps, sleeps, sleeps, sleeps, computes, sleeps}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const rounds = 1000
			k := newFakeKernel()
			s, all := line(len(tt.kinds))
			for _, th := range all {
				s.wait(th)
			}
			turns, asked, wakes := make([]int, len(all)), make([]int, len(all)), map[*task]int{}
			for round := range rounds {
				th := s.next(firstChanged)
				if th == nil {
					t.Fatalf("round %d: nobody is in line, of %v", round, fmt.Sprint(tids(all)))
				}
				i := th.tid - 1
				if waited := round - asked[i]; waited > len(all) {
					t.Fatalf("round %d: thread %d waited for %d turns", round, th.tid, waited)
				}
				turns[i]++
				s.give(th, someTime, 100)
				th.state = stateRun
				switch tt.kinds[i] {
				case polls:
					if s.used(someTime.Add(sliceTime)) || !s.used(someTime.Add(sliceTime+1)) {
						t.Fatal("its time is another")
					}
				case sleeps:
					th.in(moveEnter, moveResume).blocks = true
					k.asleep[th.tid] = true
					if what, _ := s.look(k); s.contended() && what != lookAsleep {
						t.Fatalf("round %d: thread %d is not seen asleep", round, th.tid)
					}
					th.in(moveLog)
					wakes[th] = round + 1 + th.tid%3
				}
				s.cur = nil
				if tt.kinds[i] != sleeps {
					s.wait(th)
					asked[i] = round
				}
				for _, o := range all {
					if at, ok := wakes[o]; ok && at <= round+1 {
						delete(wakes, o)
						k.asleep[o.tid] = false
						o.in(moveWait, moveTake)
						s.wait(o)
						asked[o.tid-1] = round
					}
				}
			}
			least, most := rounds, 0
			for i, n := range turns {
				if tt.kinds[i] != sleeps {
					least, most = min(least, n), max(most, n)
				}
			}
			if least == 0 || most-least > 1 {
				t.Errorf("those that work had %v turns", turns)
			}
		})
	}
}

// Where the order is drawn at random, a thread that stands on the bench is passed over, but
// not for ever, and not where all other threads wait for it.
func TestBenchEnds(t *testing.T) {
	c := newChaos(8, 1000) // 8: whom is left to chance
	p := &process{tasks: map[int]*task{}}
	var all []*task
	for i := range 3 {
		th := &task{tid: i + 1, proc: p, turn: turn{chance: chance{number: i + 1}}}
		p.tasks[th.tid] = th
		all = append(all, th)
	}
	for range 10_000 {
		if c.bench(all[1]); all[1].benched > 0 {
			break
		}
	}
	long := all[1].benched
	if long < leastBench || long > leastBench<<longerBench {
		t.Fatalf("it is passed over %d times", long)
	}
	for range 1000 {
		if c.bench(all[2]); all[2].benched > 0 {
			t.Fatal("two are on the bench")
		}
	}
	if i := c.choose(all[1:2]); i != 0 || all[1].benched != long {
		t.Errorf("the only one in line is %d, its time %d", i, all[1].benched)
	}
	for n := range long {
		if all[c.choose(all)] == all[1] {
			t.Fatalf("it is chosen after %d of %d", n, long)
		}
	}
	seen := map[int]bool{}
	for range 1000 {
		seen[c.choose(all)] = true
	}
	if len(seen) != len(all) {
		t.Errorf("afterwards only %v are chosen", seen)
	}
}
