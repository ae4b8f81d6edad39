//go:build linux

package ptrace

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fakeKernel has tracees that stop when told, and reports them as Linux does:
// always the newest of those that have stopped.
type fakeKernel struct {
	clock   time.Time
	order   []int // tracees, oldest first
	stopped map[int]unix.WaitStatus
	alarms  []time.Time
	// asleep is called in place of a wait that would block.
	asleep func(k *fakeKernel) error
	// reaped is called, where it is there, with each that was reported.
	reaped func(tid int)
	waits  int
}

const stoppedStatus = unix.WaitStatus(0x7f | unix.SIGTRAP<<8)

func newFakeKernel(tids ...int) *fakeKernel {
	return &fakeKernel{clock: time.Unix(1000, 0), order: tids, stopped: map[int]unix.WaitStatus{}}
}

func (k *fakeKernel) stop(tids ...int) {
	for _, tid := range tids {
		k.stopped[tid] = stoppedStatus
	}
}

func (k *fakeKernel) wait(tid int, block bool) (int, unix.WaitStatus, error) {
	k.waits++
	for {
		for i := len(k.order) - 1; i >= 0; i-- {
			at := k.order[i]
			if st, ok := k.stopped[at]; ok && (tid == -1 || tid == at) {
				delete(k.stopped, at)
				if k.reaped != nil {
					k.reaped(at)
				}
				return at, st, nil
			}
		}
		if !block {
			return 0, 0, nil
		}
		if k.asleep == nil {
			return 0, 0, unix.ECHILD
		}
		if err := k.asleep(k); err != nil {
			return 0, 0, err
		}
	}
}

func (k *fakeKernel) now() time.Time { return k.clock }

func (k *fakeKernel) ring(at time.Time) error {
	k.alarms = append(k.alarms, at)
	return nil
}

func next(t *testing.T, w *Waits, block bool) int {
	t.Helper()
	s, ok, err := w.Next(block)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return 0
	}
	return s.TID
}

// However busy the newest tracees are, the oldest gets as many turns.
func TestBusyTraceesHaveEqualTurns(t *testing.T) {
	for _, n := range []int{1, 2, 3, 6, 40} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			k := newFakeKernel()
			for tid := 1; tid <= n; tid++ {
				k.order = append(k.order, tid)
			}
			k.stop(k.order...)
			w := &Waits{k: k}
			turns := map[int]int{}
			for range 1000 * n {
				tid := next(t, w, true)
				turns[tid]++
				k.stop(tid) // it is resumed, and stops at once
			}
			for tid := 1; tid <= n; tid++ {
				if turns[tid] < 980 || turns[tid] > 1020 {
					t.Errorf("tracee %d had %d turns of %d", tid, turns[tid], 1000*n)
				}
			}
		})
	}
}

// Who is resumed last is late for the next turn, as where tracees and tracer
// share a processor. It must not be the same one each time.
func TestTraceesThatAreLateHaveEqualTurns(t *testing.T) {
	const n, rounds = 6, 6000
	k := newFakeKernel(1, 2, 3, 4, 5, 6)
	k.stop(k.order...)
	w := &Waits{k: k}
	turns := map[int]int{}
	var late int
	for i := range rounds {
		k.stop(late)
		served := 0
		for tid := next(t, w, true); ; tid = next(t, w, false) {
			turns[tid]++
			if served++; w.head == len(w.queue) {
				late = tid // resumed, but not there yet
				break
			}
			k.stop(tid)
		}
		if i%3 == 0 { // it was in time
			k.stop(late)
			late = 0
		}
	}
	sum := 0
	for _, c := range turns {
		sum += c
	}
	for tid := 1; tid <= n; tid++ {
		if mean := sum / n; turns[tid] < mean*98/100 || turns[tid] > mean*102/100 {
			t.Errorf("turns %v, mean %d", turns, mean)
			break
		}
	}
}

// Where only one tracee stops, most looks for others are spared; one that comes
// is seen all the same.
func TestLoneTraceeCostsFewLooks(t *testing.T) {
	k := newFakeKernel(1, 2)
	w := &Waits{k: k}
	for range 800 {
		k.stop(2)
		if tid := next(t, w, true); tid != 2 {
			t.Fatalf("stop of %d", tid)
		}
	}
	if k.waits > 1000 {
		t.Errorf("%d waits for 800 stops", k.waits)
	}
	k.stop(1)
	for i := 1; ; i++ {
		k.stop(2)
		if next(t, w, true) == 1 {
			break
		}
		if i > 2*loneTurns {
			t.Fatal("the older tracee is overlooked")
		}
	}
}

// What is due runs between two stops, and stops are handed out between two runs.
func TestTimersAndStopsTakeTurns(t *testing.T) {
	k := newFakeKernel(1, 2)
	w := &Waits{k: k}
	ran := 0
	var timer *Timer
	timer = w.Timer(func(now time.Time) {
		ran++
		timer.Set(now) // due again at once
	})
	timer.Set(k.clock)
	stops := 0
	for range 100 {
		k.stop(1, 2)
		if next(t, w, true) != 0 {
			stops++
		}
	}
	if ran != 50 || stops != 50 {
		t.Errorf("%d runs and %d stops of 100 turns", ran, stops)
	}
}

func TestTimerIsNotLateWhileStopsKeepComing(t *testing.T) {
	k := newFakeKernel(1, 2, 3)
	w := &Waits{k: k}
	var at time.Time
	w.Timer(func(now time.Time) { at = now }).Set(k.clock.Add(10 * time.Millisecond))
	began := k.clock
	for range 40 {
		k.stop(1, 2, 3)
		next(t, w, true)
		k.clock = k.clock.Add(time.Millisecond)
	}
	if late := at.Sub(began) - 10*time.Millisecond; late < 0 || late > time.Millisecond {
		t.Errorf("it ran %v late", late)
	}
}

func TestTimersRunInOrderOfTime(t *testing.T) {
	k := newFakeKernel()
	w := &Waits{k: k}
	var got []int
	for _, ms := range []int{30, 10, 50, 20, 40} {
		w.Timer(func(time.Time) { got = append(got, ms) }).Set(k.clock.Add(time.Duration(ms) * time.Millisecond))
	}
	for range 60 {
		next(t, w, false)
		k.clock = k.clock.Add(time.Millisecond)
	}
	if !slices.Equal(got, []int{10, 20, 30, 40, 50}) {
		t.Errorf("ran in the order %v", got)
	}
}

func TestTimerCanBeMovedAndStopped(t *testing.T) {
	k := newFakeKernel()
	w := &Waits{k: k}
	ms := func(n int) time.Time { return time.Unix(1000, int64(n)*1e6) }
	runs := map[string][]int{}
	timer := func(name string) *Timer {
		return w.Timer(func(now time.Time) { runs[name] = append(runs[name], int(now.Sub(ms(0)).Milliseconds())) })
	}
	later, sooner, stopped, again := timer("later"), timer("sooner"), timer("stopped"), timer("again")
	later.Set(ms(5))
	later.Set(ms(20))
	sooner.Set(ms(20))
	sooner.Set(ms(5))
	stopped.Set(ms(5))
	stopped.Stop()
	again.Set(ms(5))
	again.Stop()
	again.Set(ms(8))
	if stopped.Pending() || !again.Pending() {
		t.Error("Pending is wrong")
	}
	for range 60 {
		next(t, w, false)
		k.clock = k.clock.Add(time.Millisecond / 2)
	}
	want := map[string][]int{"later": {20}, "sooner": {5}, "again": {8}}
	if fmt.Sprint(runs) != fmt.Sprint(want) {
		t.Errorf("ran at %v, want %v", runs, want)
	}
}

// A timer may stop or put off another that is due at the same time.
func TestTimerStopsAnother(t *testing.T) {
	k := newFakeKernel()
	w := &Waits{k: k}
	var got []string
	var b, c *Timer
	a := w.Timer(func(now time.Time) {
		got = append(got, "a")
		b.Stop()
		c.Set(now.Add(time.Hour))
	})
	b = w.Timer(func(time.Time) { got = append(got, "b") })
	c = w.Timer(func(time.Time) { got = append(got, "c") })
	a.Set(k.clock)
	b.Set(k.clock.Add(time.Millisecond))
	c.Set(k.clock.Add(time.Millisecond))
	k.clock = k.clock.Add(time.Second)
	next(t, w, false)
	next(t, w, false)
	if !slices.Equal(got, []string{"a"}) {
		t.Errorf("ran %v", got)
	}
	if !c.Pending() {
		t.Error("the one that was put off is not set")
	}
}

// A blocking wait is interrupted when the first timer is due, and one that was
// put off costs no new alarm before that.
func TestAlarmIsOfTheFirstTimer(t *testing.T) {
	k := newFakeKernel(1)
	w := &Waits{k: k}
	at := func(n int) time.Time { return time.Unix(1000, int64(n)*1e6) }
	ran := 0
	timer := w.Timer(func(time.Time) { ran++ })
	timer.Set(at(10))
	for i := range 9 {
		timer.Set(at(10 + i)) // put off at each stop
		k.stop(1)
		next(t, w, true)
	}
	if !slices.EqualFunc(k.alarms, []time.Time{at(10)}, time.Time.Equal) {
		t.Errorf("alarms at %v", k.alarms)
	}
	k.asleep = func(k *fakeKernel) error {
		if last := k.alarms[len(k.alarms)-1]; last.After(k.clock) {
			k.clock = last
		}
		return unix.EINTR
	}
	for i := 0; ran == 0; i++ {
		if next(t, w, true) != 0 {
			t.Fatal("a stop of nobody")
		}
		if i > 4 {
			t.Fatal("it does not run")
		}
	}
	if !k.clock.Equal(at(18)) {
		t.Errorf("it ran at %v", k.clock.Sub(at(0)))
	}
	if len(k.alarms) != 2 {
		t.Errorf("%d alarms", len(k.alarms))
	}
}

// One tracee can be waited for while others have stops that were taken in.
func TestForFindsWhatWasTakenIn(t *testing.T) {
	k := newFakeKernel(1, 2, 3, 4)
	w := &Waits{k: k}
	w.crowded()
	k.stop(1, 2, 3)
	if tid := next(t, w, true); tid != 3 {
		t.Fatalf("stop of %d", tid)
	}
	if st, err := w.For(1); err != nil || st != stoppedStatus {
		t.Errorf("%v, %v", st, err)
	}
	k.asleep = func(k *fakeKernel) error { k.stop(4); k.asleep = nil; return unix.EINTR }
	if _, err := w.For(4); err != nil {
		t.Error(err)
	}
	if tid := next(t, w, true); tid != 2 {
		t.Errorf("then of %d", tid)
	}
	if _, _, err := w.Next(true); err != unix.ECHILD {
		t.Errorf("then %v", err)
	}
}

func TestFirstStopBeforeTheMakingIsReported(t *testing.T) {
	k := newFakeKernel(1, 2)
	w := &Waits{k: k}
	k.stop(2)
	next(t, w, true)
	w.Keep(Stop{2, stoppedStatus}) // nobody knows it yet
	if _, ok := w.Poll(1); ok {
		t.Error("a stop of 1")
	}
	if st, err := w.For(2); err != nil || !st.Stopped() {
		t.Errorf("%v, %v", st, err)
	}
	if _, ok := w.Poll(2); ok {
		t.Error("a second stop")
	}
	w.Keep(Stop{2, stoppedStatus})
	w.Keep(Stop{2, unix.WaitStatus(unix.SIGKILL)}) // it is gone
	if _, ok := w.Poll(2); ok {
		t.Error("a stop of one that is gone")
	}
}

func TestStopsOutOfTurn(t *testing.T) {
	k := newFakeKernel(1, 2, 3, 4)
	w := &Waits{k: k}
	k.stop(1, 2, 3, 4)
	w.Collect()
	odd := func(tid int) bool { return tid%2 == 1 }
	var got []int
	for {
		s, ok := w.Take(odd)
		if !ok {
			break
		}
		got = append(got, s.TID)
	}
	w.Later(Stop{7, stoppedStatus})
	for range 3 {
		got = append(got, next(t, w, false))
	}
	if !slices.Equal(got, []int{3, 1, 4, 2, 7}) {
		t.Errorf("got %v", got)
	}
}

// A blocking wait that reports an error other than an interruption passes it on.
func TestErrorOfAWait(t *testing.T) {
	k := newFakeKernel()
	w := &Waits{k: k}
	if _, _, err := w.Next(true); err != unix.ECHILD {
		t.Errorf("%v", err)
	}
	k.asleep = func(*fakeKernel) error { return unix.EINTR }
	if _, ok, err := w.Next(true); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
}

// A timer that was stopped, or put off, before a wait does not cut the wait short,
// nor does it cost a call to the kernel each time.
func TestStoppedTimersCostNoAlarm(t *testing.T) {
	k := newFakeKernel(1)
	k.asleep = func(k *fakeKernel) error {
		k.clock = k.clock.Add(10 * time.Microsecond)
		k.stop(1)
		return nil
	}
	w := &Waits{k: k}
	beat := w.Timer(func(time.Time) {})
	beat.Set(k.clock.Add(50 * time.Millisecond))
	soon := w.Timer(func(time.Time) { t.Error("a stopped timer ran") })
	for range 1000 {
		soon.Set(k.clock.Add(100 * time.Microsecond))
		beat.Set(k.clock.Add(50 * time.Millisecond))
		soon.Stop()
		if next(t, w, true) != 1 {
			t.Fatal("no stop")
		}
	}
	// One for the beat, and one for it when the first would have come too soon.
	if n := len(k.alarms); n > 2 {
		t.Errorf("%d alarms were set, the first for %v", n, k.alarms[0].Sub(time.Unix(1000, 0)))
	}
}
