package capture

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/cpython"
	"pyrr/internal/recording"
	"pyrr/internal/recording/rectest"
	"pyrr/internal/sys"
)

const (
	killed = unix.WaitStatus(unix.SIGKILL)
	exited = unix.WaitStatus(3 << 8)
)

// eventsOf closes a recording and says what is in it of a process: the kinds of its
// events, with their threads from 0 on.
func eventsOf(t *testing.T, w *recording.Writer, dir string, id, pid int) string {
	t.Helper()
	rec := rectest.Reopen(t, w, dir)
	it, err := rec.Events(id)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	var out []string
	for {
		var ev recording.Event
		if err := it.Next(&ev); err == io.EOF {
			return strings.Join(out, " ")
		} else if err != nil {
			t.Fatal(err)
		}
		if ev.Why == recording.EndTruncated {
			continue // the reader's: the log has no end yet
		}
		out = append(out, fmt.Sprintf("%s:%d", strings.TrimPrefix(ev.Kind.String(), "Kind"), int(ev.TID)-pid))
	}
}

// A thread that is killed in a call that keeps the slot leaves that call in the log; a
// thread that ends by itself leaves none. Then the slot is free.
func TestThreadsEnd(t *testing.T) {
	inside := []callMove{moveEnter, moveResume}
	for _, tt := range []struct {
		name  string
		moves []callMove
		st    unix.WaitStatus
		want  string
	}{
		{"killed while it computed", nil, killed, "start:0 death:1"},
		{"killed in its call", inside, killed, "start:0 enter:1 death:1"},
		{"killed before its call", inside[:1], killed, "start:0 enter:1 death:1"},
		{"killed in a call that is in the log", append(slices.Clone(inside), moveLog), killed, "start:0 enter:1 death:1"},
		{"killed in line behind its call", []callMove{moveEnter, moveLog, moveWait}, killed, "start:0 enter:1 death:1"},
		{"killed in a call of the vDSO", []callMove{moveUnseen}, killed, "start:0 death:1"},
		{"it ended by itself", inside, exited, "start:0 death:1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeRecorder(t, Options{})
			w, dir := f.command.w, f.o.Dir
			p := f.process(f.command, 2)
			th := p.tasks[p.pid+1]
			p.give(th, time.Now(), 1)
			f.recheck[p] = true
			th.ev = recording.Event{TID: int32(th.tid), Nr: sys.SYS_READ}
			for _, m := range tt.moves {
				if m == moveLog {
					f.logEnter(th)
				} else {
					th.sys.move(m)
				}
			}
			if err := f.ended(th, tt.st); err != nil {
				t.Fatal(err)
			}
			if p.cur != nil || len(f.recheck) != 0 || p.tasks[th.tid] != nil || f.tasks[th.tid] != nil || !th.dead {
				t.Errorf("cur %v, %d to look at, dead %v", p.cur, len(f.recheck), th.dead)
			}
			if p.ended || p.mode != modeRecord || p.ep != f.command {
				t.Error("the process ended with it")
			}
			if err := f.ended(th, tt.st); err != nil { // its end is reported again
				t.Fatal(err)
			}
			f.command = nil // closed here
			if got := eventsOf(t, w, dir, p.id, p.pid); got != tt.want {
				t.Errorf("in the log: %s; want %s", got, tt.want)
			}
		})
	}
}

// A process ends with its last thread, whichever that is: if the first thread ended before
// the others, the log still has only one end.
func TestTheLastThreadEndsTheProcess(t *testing.T) {
	f := newFakeRecorder(t, Options{})
	w, dir := f.command.w, f.o.Dir
	p := f.process(f.command, 3)
	lead, other, last := p.tasks[p.pid], p.tasks[p.pid+1], p.tasks[p.pid+2]
	p.give(lead, time.Now(), 1)
	p.base = 77
	if err := f.leaderExit(lead); err != nil {
		t.Fatal(err)
	}
	if p.cur != nil || !lead.leadExit || f.livingThreads(p.pid) != 2 {
		t.Errorf("cur %v, %d threads live", p.cur, f.livingThreads(p.pid))
	}
	for _, th := range []*task{other, last, lead} {
		if p.ended {
			t.Fatalf("it ended before thread %d", th.tid-p.pid)
		}
		if err := f.ended(th, killed); err != nil {
			t.Fatal(err)
		}
	}
	if !p.ended || p.mode != modeLeave || len(f.command.live) != 0 || f.command.instructions != 77 {
		t.Errorf("ended %v, mode %d, %d live, %d instructions", p.ended, p.mode, len(f.command.live), f.command.instructions)
	}
	f.command = nil
	if got, want := eventsOf(t, w, dir, p.id, p.pid), "start:0 death:0 death:1 death:2 end:0"; got != want {
		t.Errorf("in the log: %s; want %s", got, want)
	}
}

// A killed thread in line does not get the slot, and those behind it do not wait for it.
func TestKilledInLine(t *testing.T) {
	f := withTimers(t, newFakeRecorder(t, Options{}))
	p := f.process(f.command, 4)
	all := []*task{p.tasks[p.pid], p.tasks[p.pid+1], p.tasks[p.pid+2], p.tasks[p.pid+3]}
	p.give(all[0], time.Now(), 1)
	for _, th := range all[1:] {
		p.wait(th)
	}
	if err := f.ended(all[2], killed); err != nil {
		t.Fatal(err)
	}
	if p.cur != all[0] || !slices.Equal(tids(p.ready), []int{all[1].tid, all[3].tid}) {
		t.Errorf("cur %v, in line %v", p.cur, tids(p.ready))
	}
	// The slot goes to the next thread. That can't be resumed, since the machine has no such
	// thread: it keeps the slot until its end is reported.
	if err := f.ended(all[0], killed); err != nil {
		t.Fatal(err)
	}
	if p.cur != all[1] || !slices.Equal(tids(p.ready), []int{all[3].tid}) {
		t.Errorf("cur %v, in line %v", p.cur, tids(p.ready))
	}
	if err := f.ended(all[1], killed); err != nil {
		t.Fatal(err)
	}
	if p.cur != all[3] || p.contended() {
		t.Errorf("cur %v, in line %v", p.cur, tids(p.ready))
	}
}

// A process that ends in the middle of a test has crashed, unless its runner ended it
// because the test took too long.
func TestProcessesEndInTests(t *testing.T) {
	for _, tt := range []struct {
		name    string
		st      unix.WaitStatus
		minded  bool
		exit    int // which thread ended it, from 0 on; -1 for none
		outcome string
	}{
		{"killed", killed, false, -1, "crashed"},
		{"a crash", unix.WaitStatus(unix.SIGSEGV), true, -1, "crashed"},
		{"it ends itself", exited, false, 0, "crashed"},
		{"a thread ends it, and nobody minds the time", exited, false, 1, "crashed"},
		{"the main thread ends it, the time is minded", exited, true, 0, "crashed"},
		{"the thread that minds the time ends it", exited, true, 1, "timeout"},
		{"it is killed meanwhile", killed, true, 1, "crashed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, p := withTests(t, Tests{Failures: true})
			ep := imaged(f.epoch("test_end", p))
			p.runner.test = &testRun{id: "test_end", ep: ep, minded: tt.minded}
			if tt.exit >= 0 {
				p.exitTID = p.pid + tt.exit
			}
			if err := f.ended(p.tasks[p.pid], tt.st); err != nil {
				t.Fatal(err)
			}
			f.writing.Wait()
			if len(f.kept) != 1 || f.kept[0].Outcome != tt.outcome || f.kept[0].Err != nil {
				t.Fatalf("kept: %+v", f.kept)
			}
			if p.runner.test != nil || !p.ended || len(f.epochs.list) != 0 {
				t.Errorf("the test goes on: %v; ended %v", p.runner.test, p.ended)
			}
			f.watchTests(time.Now().Add(time.Hour)) // a process that has ended has no time limit
			if len(f.warnings) != 0 {
				t.Errorf("warnings %q", f.warnings)
			}
		})
	}
}

// A call and signals that are there when one epoch ends and the next begins: the call is
// entered in the log of the first alone, signals wait for their thread, not for an epoch.
func TestEdgesOfEpochs(t *testing.T) {
	f, p := withTests(t, Tests{Failures: true})
	first := f.epoch("test_one", p)
	th := p.tasks[p.pid]
	th.ev = recording.Event{TID: int32(th.tid), Nr: sys.SYS_READ}
	th.in(moveEnter, moveResume)
	for i, sig := range []unix.Signal{unix.SIGUSR1, unix.SIGCHLD, unix.SIGUSR1} {
		th.sigstop, th.info = int(sig), signalInfo(sig, uint32(i+1))
		f.deferSignal(th)
	}
	f.endEpoch(first, recording.EndTest, "another test begins")
	if th.sys != callLogged || !slices.Equal(senders(th.deferred), []uint32{1, 2}) {
		t.Fatalf("its call is %s, signals wait: %v", th.sys, senders(th.deferred))
	}
	// Between two epochs nothing is written, and the schedule goes on.
	p.give(th, time.Now(), 1)
	f.giveWay(th)
	if p.cur != nil || th.sys != callLogged {
		t.Errorf("between two, cur %v, its call %s", p.cur, th.sys)
	}
	th.sigstop, th.info = int(unix.SIGUSR2), signalInfo(unix.SIGUSR2, 4)
	f.deferSignal(th)

	second := f.epoch("test_two", p)
	f.logOpen(p)
	if err := f.ended(th, killed); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(senders(th.deferred), []uint32{1, 2, 4}) {
		t.Errorf("signals wait: %v", senders(th.deferred))
	}
	f.epochs.list = nil // closed here
	if got := eventsOf(t, first.w, first.dir, 1, p.pid); got != "start:0 enter:0 end:0" {
		t.Errorf("the first: %s", got)
	}
	if got := eventsOf(t, second.w, second.dir, 1, p.pid); got != "start:0 end:0" {
		t.Errorf("the second: %s", got)
	}
}

// A recorder that is told to end first keeps the tests in progress (one that computes, at an
// exact instruction), and only then tells the command to end.
func TestCancelTests(t *testing.T) {
	f, p := withTests(t, Tests{})
	now := time.Now()
	f.cancelTests(now)
	if len(f.kept) != 0 || !f.cancelBy.IsZero() {
		t.Fatal("tests were kept although the recorder was not told to end")
	}
	waits := p
	waits.runner.test = &testRun{id: "test_waits", ep: imaged(f.epoch("test_waits", waits))}
	busy, idle, over := f.process(f.command, 1), f.process(f.command, 1), f.process(f.command, 1)
	busy.runner, idle.runner, over.runner = &runner{}, &runner{}, &runner{}
	busy.runner.test = &testRun{id: "test_busy", ep: imaged(f.epoch("test_busy", busy))}
	busy.clock, busy.cur = &cpython.Installed{}, busy.tasks[busy.pid]
	over.runner.test = &testRun{id: "test_over", expired: true}

	f.terminate()
	f.cancelTests(now)
	if !waits.runner.test.expired || busy.runner.test.expired || !f.expiring() {
		t.Fatalf("expired: %v for the waiting test, %v for the computing one", waits.runner.test.expired, busy.runner.test.expired)
	}
	if over.runner.test.cancelled || f.cancelBy.IsZero() {
		t.Error("a test that is over was cancelled, or the command is told before the tests are kept")
	}
	f.cancelTests(now.Add(tickPatience))
	if f.cancelBy.IsZero() {
		t.Error("the end does not wait for the computing test")
	}
	busy.clock = nil // reading its count would need the process
	f.expireTest(busy)
	f.cancelTests(now.Add(tickPatience))
	f.writing.Wait()
	var kept []string
	for _, k := range f.kept {
		kept = append(kept, k.Test+" "+k.Outcome)
	}
	if !slices.Equal(kept, []string{"test_waits cancelled", "test_busy cancelled"}) || !f.cancelBy.IsZero() {
		t.Errorf("kept are %v; waiting %v", kept, !f.cancelBy.IsZero())
	}
	if !waits.runner.test.killAt.IsZero() || len(waits.runner.test.again) != 0 {
		t.Error("a cancelled test is interrupted: that is what the command is told for")
	}
	// A thread that does not come to an exact instruction does not delay the end for ever.
	busy.runner.test = &testRun{id: "test_stuck", expireBy: now.Add(time.Hour)}
	f.cancelled.Store(true)
	f.cancelTests(now)
	f.cancelTests(now.Add(2*tickPatience + 1))
	if !f.cancelBy.IsZero() {
		t.Error("the command is never told")
	}
}

// A test is told to end again and again, in teardown only once; how it is told depends on
// whether its runner heeds the signal.
func TestExpiredTestsAreToldAgain(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handles bool
		phase   string
		kill    bool
		again   bool
	}{
		{"in its call", true, "call", false, true},
		{"in its setup", true, "setup", false, true},
		{"in teardown", true, phaseTeardown, false, false},
		{"its runner minds no signal", false, "call", false, false},
		{"its process is killed", true, "call", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, p := withTests(t, Tests{})
			f.o.Kill, f.o.Grace = tt.kill, 20*time.Second
			p.runner.handles, p.runner.phase = tt.handles, tt.phase
			test := &testRun{id: "test_x", limit: time.Second, ep: imaged(f.epoch("test_x", p))}
			p.runner.test = test
			began := time.Now()
			f.expireTest(p)
			f.writing.Wait()
			if (len(test.again) > 0) != tt.again || test.killAt.Before(began.Add(f.o.Grace)) {
				t.Fatalf("again at %v, killed at %v", test.again, test.killAt)
			}
			if !slices.IsSortedFunc(test.again, time.Time.Compare) {
				t.Errorf("they come as %v", test.again)
			}
			for n := len(test.again); n > 0; n-- {
				if !test.again[0].Before(test.killAt) {
					t.Error("the test is told to end although it has ended already")
				}
				f.watchTests(test.again[0].Add(1))
				if len(test.again) != n-1 {
					t.Fatalf("%d are left of %d", len(test.again), n)
				}
			}
		})
	}
}

// The first of a PID namespace is the only one that a signal may not end.
func TestIsInit(t *testing.T) {
	if isInit(1 << 28) {
		t.Error("a process that is not there is the first")
	}
	if own := unix.Getpid(); own != 1 && isInit(own) {
		t.Error("this process is the first")
	}
	if !isInit(1) {
		t.Error("the first is not")
	}
}
