package capture

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/cpython"
	"pyrr/internal/headroom"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// imaged is an epoch whose image needs not be read any more.
func imaged(ep *epoch) *epoch {
	done := make(chan struct{})
	close(done)
	ep.image, ep.frozen = &imageTask{done: done}, &frozen{pid: 1 << 28, proc: ptrace.OpenProcess(1 << 28)}
	return ep
}

// testing sets up a recording test by test: a runner whose limits and choices are o's.
func withTests(t *testing.T, tests Tests) (*fakeRecorder, *process) {
	t.Helper()
	tests.Path = func(test string) string { return "/nowhere/" + test }
	tests.Final = func(dir string) string { return dir + ".zip" }
	f := newFakeRecorder(t, Options{Tests: &tests, Grace: time.Minute})
	p := f.process(f.command, 1)
	p.runner = &runner{}
	return f, p
}

func TestProcessesOfAnEpochAreNumbered(t *testing.T) {
	f := newFakeRecorder(t, Options{})
	a, b := f.process(f.command, 1), f.process(f.command, 1)
	if a.id != 1 || b.id != 2 || f.command.procs != 2 || f.command.whole != 2 {
		t.Errorf("numbers %d, %d; %d processes", a.id, b.id, f.command.procs)
	}
	c := f.process(nil, 1)
	if c.id != 0 || c.stream != nil {
		t.Errorf("a process in no epoch has number %d", c.id)
	}
	events := f.command.events
	f.log(c, &recording.Event{Kind: recording.KindNote})
	f.log(a, &recording.Event{Kind: recording.KindNote})
	if c.events != 0 || f.command.events != events+1 {
		t.Errorf("%d events of who is not recorded, %d of the epoch", c.events, f.command.events-events)
	}
}

func TestPartEndsTheLogAndNotTheProcess(t *testing.T) {
	f := newFakeRecorder(t, Options{})
	p := f.process(f.command, 1)
	p.base = 100
	end := recording.Event{Kind: recording.KindEnd, TID: int32(p.pid), Why: recording.EndTest}
	f.part(p, &end)
	if p.ep != nil || p.stream != nil || p.ended || p.mode != modeRecord {
		t.Errorf("it is in %p, ended %v, mode %d", p.ep, p.ended, p.mode)
	}
	if f.command.instructions != 100 || len(f.command.live) != 0 || f.command.whole != 1 {
		t.Errorf("the epoch has %d instructions, %d live of %d", f.command.instructions, len(f.command.live), f.command.whole)
	}
	f.part(p, &end) // the process is in no epoch: nothing happens
	f.quit(p)
	if f.command.instructions != 100 {
		t.Error("the process's instructions were counted twice")
	}
}

func TestTheCommandsOwnRecordingIsDroppedWhenNobodyIsInIt(t *testing.T) {
	f := newFakeRecorder(t, Options{})
	ep := f.command
	a, b := f.process(ep, 1), f.process(ep, 1)
	end := func() *recording.Event {
		return &recording.Event{Kind: recording.KindEnd, Why: recording.EndTest}
	}
	f.part(a, end())
	f.abandoned(ep)
	if f.command != ep || ep.ended {
		t.Fatal("the epoch is gone while a process is in it")
	}
	f.part(b, end())
	f.abandoned(ep)
	if f.command != nil || !ep.ended {
		t.Error("it is kept")
	}
	f.abandoned(ep) // the second time nothing happens
}

func TestEndEpoch(t *testing.T) {
	f := newFakeRecorder(t, Options{})
	lead := f.process(nil, 2)
	ep := f.epoch("one", lead)
	other := f.epoch("two", f.process(nil, 1))
	lead.tasks[lead.pid].in(moveEnter, moveResume)
	before := lead.events
	f.endEpoch(ep, recording.EndTest, "passed")
	if !ep.ended || len(ep.live) != 0 || lead.ep != nil {
		t.Errorf("ended %v, %d live", ep.ended, len(ep.live))
	}
	if lead.events != before+2 {
		t.Errorf("%d events: the call that it was in, and the end, are two", lead.events-before)
	}
	if len(f.epochs.list) != 1 || f.epochs.list[0] != other {
		t.Errorf("%d epochs are left", len(f.epochs.list))
	}
	if lead.mode != modeRecord {
		t.Error("the process is let go")
	}
}

// After the end of a recording the runner of tests stays traced: its next test gets a
// recording again.
func TestEndHere(t *testing.T) {
	f, p := withTests(t, Tests{})
	if !f.beginsAnew(p) {
		t.Error("the runner does not begin a new recording")
	}
	ep := f.epoch("t1", p)
	f.endHere(p, os.ErrInvalid)
	if !ep.ended || p.ep != nil || len(f.warnings) != 1 || !strings.Contains(f.warnings[0], "t1") || !strings.Contains(f.warnings[0], "next test") {
		t.Errorf("ended %v, warnings %q", ep.ended, f.warnings)
	}
	f.endHere(p, os.ErrInvalid)
	if len(f.warnings) != 1 {
		t.Error("it is said again")
	}
	// A child of a test: only its own log ends.
	ep = f.epoch("t2", f.process(nil, 1))
	child := f.process(ep, 1)
	f.endHere(child, os.ErrInvalid)
	if ep.ended || len(ep.live) != 1 || child.ep != nil {
		t.Errorf("ended %v, %d live", ep.ended, len(ep.live))
	}
}

func TestWantedOutcomes(t *testing.T) {
	tests := []struct {
		failures bool
		keep     string
		want     map[string]bool
	}{
		{false, "", map[string]bool{"passed": false, "failed": false, "crashed": false, "timeout": true}},
		{true, "", map[string]bool{"passed": false, "failed": true, "crashed": true, "timeout": true, "skipped": false}},
		{true, "timeout", map[string]bool{"passed": false, "failed": false, "timeout": true}},
		{false, "failure", map[string]bool{"passed": false, "failed": true, "crashed": true, "timeout": true}},
		{false, "always", map[string]bool{"passed": true, "skipped": true, "timeout": true}},
		{true, "never", map[string]bool{"passed": false, "failed": false, "timeout": false}},
	}
	for _, tt := range tests {
		f, _ := withTests(t, Tests{Failures: tt.failures})
		for outcome, want := range tt.want {
			if got := f.wanted(&testRun{keep: tt.keep}, outcome); got != want {
				t.Errorf("failures %v, keep %q: %s is wanted: %v", tt.failures, tt.keep, outcome, got)
			}
		}
	}
}

func TestRoomForRecordings(t *testing.T) {
	f, _ := withTests(t, Tests{MaxKept: 3, MaxSame: 2})
	keeps := func(reason string) bool {
		ok := f.room(reason)
		if ok {
			f.kept = append(f.kept, &Kept{})
		}
		return ok
	}
	for i, tt := range []struct {
		reason string
		want   bool
	}{{"db is down", true}, {"db is down", true}, {"db is down", false}, {"", true}, {"", false}, {"other", false}} {
		if got := keeps(tt.reason); got != tt.want {
			t.Errorf("the %d-th, of %q: %v", i+1, tt.reason, got)
		}
	}
	if f.surplus.Same != 1 || f.surplus.More != 2 {
		t.Errorf("surplus %+v", f.surplus)
	}
	f, _ = withTests(t, Tests{})
	for range 100 {
		if !f.room("the same") {
			t.Fatal("there is no limit, and no room")
		}
	}
}

// A test's recording is kept or dropped by its outcome, or goes on for the next.
func TestTestOver(t *testing.T) {
	tests := []struct {
		name    string
		outcome string
		prepare func(f *fakeRecorder, p *process, ep *epoch)
		kept    bool
		listed  bool // it goes on
	}{
		{"it failed", "failed", func(*fakeRecorder, *process, *epoch) {}, true, false},
		{"it passed", "passed", func(*fakeRecorder, *process, *epoch) {}, false, true},
		{"it passed, and the recording had ended", "passed", func(f *fakeRecorder, p *process, ep *epoch) { f.endEpoch(ep, recording.EndTimeout, "") }, false, false},
		{"it passed by the end of its process", "passed", func(_ *fakeRecorder, p *process, ep *epoch) { p.ended = true }, false, false},
		{"its time was up before", "failed", func(_ *fakeRecorder, p *process, ep *epoch) { p.runner.test.expired = true }, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, p := withTests(t, Tests{Failures: true})
			ep := imaged(f.epoch("test_x", p))
			p.runner.test, p.runner.minds = &testRun{id: "test_x", ep: ep}, 14
			tt.prepare(f, p, ep)
			f.testOver(p, tt.outcome)
			f.writing.Wait()
			if (len(f.kept) == 1) != tt.kept {
				t.Errorf("%d recordings are kept", len(f.kept))
			}
			if tt.kept && (f.kept[0].Test != "test_x" || f.kept[0].Outcome != tt.outcome || f.kept[0].Procs != 1) {
				t.Errorf("kept is %+v", f.kept[0])
			}
			if (len(f.epochs.list) == 1) != tt.listed {
				t.Errorf("%d epochs go on", len(f.epochs.list))
			}
			if p.runner.test != nil || p.runner.minds != 0 {
				t.Error("the test goes on")
			}
		})
	}
}

func TestYoungEpochsAreShared(t *testing.T) {
	f, p := withTests(t, Tests{})
	ep := f.epoch("t", p)
	if !f.young(ep) {
		t.Fatal("a new one is old")
	}
	ep.began -= int64(youth)
	if f.young(ep) {
		t.Error("an old one is young")
	}
	ep.began = f.since()
	ep.ended = true
	if f.young(ep) {
		t.Error("one that ended is young")
	}
	ep.ended = false
	for ep.w.Size() < smallLog {
		f.log(p, &recording.Event{Kind: recording.KindNote, Text: strings.Repeat("x", 1<<16)})
	}
	if f.young(ep) {
		t.Error("one with much in it is young")
	}
}

func TestBoundEndsWhatIsTooLong(t *testing.T) {
	f, p := withTests(t, Tests{})
	f.o.MaxTime = time.Hour
	ep := f.epoch("test_long", f.process(nil, 1))
	f.bound()
	if ep.ended || len(f.command.live) != 1 {
		t.Fatal("something ended early")
	}
	ep.began -= int64(2 * time.Hour)
	f.bound()
	if !ep.ended || len(f.warnings) != 1 || !strings.Contains(f.warnings[0], "test_long") || !strings.Contains(f.warnings[0], "--max-time") {
		t.Errorf("ended %v, warnings %q", ep.ended, f.warnings)
	}
	f.command.began -= int64(2 * time.Hour)
	f.bound()
	if p.ep != nil || p.mode != modeRecord {
		t.Errorf("the command's own goes on: %v; mode %d", p.ep != nil, p.mode)
	}
}

// An image that is being written takes memory too.
func TestHalfWrittenImagesGoWhereMemoryIsShort(t *testing.T) {
	free := freeMemory
	defer func() { freeMemory = free }()
	freeMemory = func(*headroom.Meter) (int64, int64) { return leastFree - 1, 1 << 40 }
	f, p := withTests(t, Tests{})
	ep := f.epoch("test_long", p)
	done := make(chan struct{})
	ep.image, ep.frozen = &imageTask{done: done}, &frozen{pid: 1 << 28, proc: ptrace.OpenProcess(1 << 28)}
	p.runner.test = &testRun{id: "test_long", ep: ep}
	f.dropImages(time.Now())
	if !ep.ended || ep.frozen != nil {
		t.Errorf("ended %v, its process is left: %v", ep.ended, ep.frozen != nil)
	}
	close(done)
	f.writing.Wait()
}

func TestImagesGoWhereMemoryIsShort(t *testing.T) {
	free := freeMemory
	defer func() { freeMemory = free }()
	f, p := withTests(t, Tests{})
	ep := f.epoch("test_big", p)
	ep.frozen = &frozen{pid: 1 << 28, proc: ptrace.OpenProcess(1 << 28)}
	p.runner.test = &testRun{id: "test_big", ep: ep}
	now := time.Now()
	freeMemory = func(*headroom.Meter) (int64, int64) { return leastFree, 1 << 40 }
	f.dropImages(now)
	if ep.ended {
		t.Fatal("the recording is given up although there is memory")
	}
	freeMemory = func(*headroom.Meter) (int64, int64) { return leastFree - 1, 1 << 40 }
	f.dropImages(now.Add(shortCheck / 2))
	if ep.ended {
		t.Error("the memory was looked at twice within the interval")
	}
	f.dropImages(now.Add(shortCheck))
	if !ep.ended || p.runner.test.ep != nil || len(f.epochs.list) != 0 {
		t.Errorf("ended %v, %d epochs", ep.ended, len(f.epochs.list))
	}
	if len(f.warnings) != 1 || !strings.Contains(f.warnings[0], "memory is short") {
		t.Errorf("warnings %q", f.warnings)
	}
	f.sayShort("another")
	if len(f.warnings) != 1 {
		t.Error("it is said twice")
	}
}

func TestWatchTests(t *testing.T) {
	f, p := withTests(t, Tests{Failures: true})
	now := time.Now()
	ep := imaged(f.epoch("test_slow", p))
	test := &testRun{id: "test_slow", ep: ep, limit: time.Second, deadline: now}
	p.runner.test = test
	f.watchTests(now)
	if test.expired {
		t.Fatal("the test expired at its deadline, not after it")
	}
	f.watchTests(now.Add(1))
	f.writing.Wait()
	if !test.expired || len(f.kept) != 1 || f.kept[0].Outcome != "timeout" {
		t.Fatalf("expired %v, kept %d", test.expired, len(f.kept))
	}
	if !strings.Contains(test.why, "recorded by pyrr in") || !strings.Contains(test.why, "1s") {
		t.Errorf("the runner is told %q", test.why)
	}
	// The test has the grace period to end; then its process is ended.
	f.watchTests(test.killAt)
	if test.killAt.IsZero() {
		t.Error("it is ended early")
	}
	f.watchTests(test.killAt.Add(1))
	if !test.killAt.IsZero() || len(f.warnings) != 1 || !strings.Contains(f.warnings[0], "test_slow") {
		t.Errorf("warnings %q", f.warnings)
	}
	f.watchTests(now.Add(time.Hour))
	if len(f.warnings) != 1 {
		t.Error("it is ended twice")
	}
}

// A test that computes is expired before an exact instruction, which a replay reaches
// too; if the test does not come to one, it is expired wherever it is.
func TestExpireSoon(t *testing.T) {
	f, p := withTests(t, Tests{})
	ep := imaged(f.epoch("test_cpu", p))
	test := &testRun{id: "test_cpu", ep: ep}
	p.runner.test = test
	now := time.Now()
	p.clock, p.cur = &cpython.Installed{}, p.tasks[p.pid]
	f.expireSoon(p, now)
	if test.expired || !p.runner.expiring() || !f.hurried(p) {
		t.Fatalf("expired %v, expiring %v", test.expired, p.runner.expiring())
	}
	f.watchTests(now.Add(tickPatience))
	if test.expired {
		t.Error("the test did not get its time")
	}
	p.clock = nil // reading its count would need the process
	f.watchTests(now.Add(tickPatience + 1))
	f.writing.Wait()
	if !test.expired || f.hurried(p) {
		t.Error("it was not expired")
	}
}

func TestOwnLimitOfARunner(t *testing.T) {
	for _, tt := range []struct {
		name     string
		minds    int
		sig      int
		expired  bool
		wantsEnd bool
	}{
		{"its signal", int(unix.SIGALRM), int(unix.SIGALRM), false, true},
		{"another signal", int(unix.SIGALRM), int(unix.SIGUSR1), false, false},
		{"it minds none", 0, int(unix.SIGALRM), false, false},
		{"the test is over its time already", int(unix.SIGALRM), int(unix.SIGALRM), true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, p := withTests(t, Tests{})
			ep := f.epoch("t", p)
			p.runner.test, p.runner.minds = &testRun{ep: ep, expired: tt.expired}, tt.minds
			th := p.tasks[p.pid]
			th.sigstop = tt.sig
			f.ownLimit(th)
			if ep.ended != tt.wantsEnd {
				t.Errorf("ended: %v", ep.ended)
			}
			if len(f.kept) != 0 {
				t.Error("the recording is kept before the test has ended")
			}
		})
	}
}

func TestSpillWritesWhatIsOld(t *testing.T) {
	f, p := withTests(t, Tests{})
	ep := f.epoch("t", p)
	ep.frozen = &frozen{pid: 1 << 28, proc: ptrace.OpenProcess(1 << 28)}
	ep.first = recording.Event{Kind: recording.KindStart, Proc: &recording.Process{ID: 1}}
	f.spill()
	if ep.image != nil {
		t.Fatal("a young one is written")
	}
	ep.began -= int64(spillAfter) + 1
	free := freeMemory
	defer func() { freeMemory = free }()
	freeMemory = func(*headroom.Meter) (int64, int64) { return leastFree + imageRoom - 1, 1 << 40 }
	f.spill()
	if ep.image != nil {
		t.Fatal("one is written where there is no room for it")
	}
	freeMemory = func(*headroom.Meter) (int64, int64) { return leastFree + imageRoom, 1 << 40 }
	f.spill()
	if ep.image == nil {
		t.Fatal("an old one is not written")
	}
	<-ep.image.done
	first := ep.image
	f.spill()
	if ep.image != first || ep.frozen != nil {
		t.Errorf("written twice: %v; its process is left: %v", ep.image != first, ep.frozen != nil)
	}
}
