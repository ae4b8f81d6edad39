package assert

import (
	"strings"
	"testing"
	"time"

	"pyrr/internal/goldentest"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

// standing is a program that stands still: worker and other hold a lock each and
// wait for that of the other one, the task consumer waits for an item. Before,
// a function retried five times, and returned None.
func standing() *fake {
	f := &fake{info: Info{Root: "/proj", Pythons: map[int]string{1: "3.11.2"}, Arch: "amd64", Wall: 5000 * ms}}
	at := func(kind, name string, thread int, instr uint64, when time.Duration) Event {
		return Event{Proc: 1, PID: 100, TID: 99 + thread, Thread: thread, Pos: recording.Pos{Instr: instr}, Kind: kind, Name: name,
			Start: when, End: when, Call: Call{FD: -1}}
	}
	f.events = []Event{at(KindSyscall, "connect", 1, 100, 100*ms), at(KindTimeout, "", 1, 900, 5000*ms), at(KindEnd, "", 1, 900, 5000*ms)}
	show := func(e Event, s Stacks) {
		e.Frame = &s.Python.Frames[0]
		f.shown, f.shownStack = append(f.shown, e), append(f.shownStack, s)
	}
	f.stacks = map[int]Stacks{}
	retry := pythonStack("MainThread", py("retry", "/proj/app.py", 12), py("<module>", "/proj/app.py", 40))
	for n, got := range []string{"0", "1", "2", "3", "4"} {
		e := at(KindLine, "", 1, 200+uint64(n), 200*ms)
		e.Where = map[string]Condition{"retries > 3": {Holds: n > 3, Got: got}, "retriez > 3": {Err: `no variable "retriez" here`}}
		show(e, retry)
	}
	find := pythonStack("MainThread", py("find", "/proj/app.py", 5), py("<module>", "/proj/app.py", 41))
	for n, value := range []string{"None", "'three'", "8"} {
		e := at(KindReturn, "", 1, 300+uint64(n), 300*ms)
		e.Value = value
		show(e, find)
	}
	raise := at(KindRaise, "ValueError", 1, 400, 400*ms)
	raise.Value = "no such item: 42"
	show(raise, pythonStack("MainThread", py("bad", "/proj/app.py", 15)))

	f.state = &State{Fingerprint: "pyrr1:0123456789abcdef"}
	stand := func(e Event, frames ...stack.Frame) {
		f.state.Events = append(f.state.Events, e)
		f.state.Stacks = append(f.state.Stacks, pythonStack(e.Name, frames...))
	}
	worker := at(KindThreadWaits, "worker", 2, 890, 500*ms)
	worker.Waits = "lock.acquire"
	stand(worker, py("work", "/proj/app.py", 26))
	main := at(KindThreadWaits, "MainThread", 1, 900, 500*ms)
	main.Waits, main.TID = "Thread.join", 100
	stand(main, py("Thread.join", lib+"threading.py", 1112), py("<module>", "/proj/app.py", 50))
	task := at(KindTaskWaits, "consumer", 1, 900, 500*ms)
	task.Waits = "Queue.join"
	consumer := []stack.Frame{py("join", "/usr/lib/python3.9/asyncio/queues.py", 210), py("consume", "/proj/app.py", 33)}
	stand(task, consumer...)
	for _, who := range [][2]string{{"left", "worker"}, {"right", "other"}} {
		e := at(KindLock, "", 2, 900, 5000*ms)
		e.Locks, e.Holder = []string{who[0]}, who[1]
		stand(e, py("work", "/proj/app.py", 24))
	}
	dead := at(KindDeadlock, "", 2, 900, 5000*ms)
	dead.Members, dead.Locks = []string{"worker", "other"}, []string{"right", "left"}
	stand(dead, py("work", "/proj/app.py", 26))
	f.state.Tasks = []Stacks{pythonStack("consumer", consumer...)}
	return f
}

// TestStands holds sentences about the end, and over values.
func TestStands(t *testing.T) {
	unknown := func(f *fake) {
		f.state.Unknown = "what the objects of process 1 were at the end is not in the recording"
	}
	tests := []struct {
		expect  string
		verdict Verdict
		got     string
		change  func(f *fake)
	}{
		{expect: "task consumer waits in Queue.join at app.py:33", verdict: Pass},
		{expect: "task consumer waits in consume", verdict: Pass},
		{expect: "task con* waits in join", verdict: Pass},
		{expect: "task waits", verdict: Pass},
		{expect: "task * waits", verdict: Pass},
		{expect: "task consumer waits in Queue.get", verdict: Fail, got: "it waits in Queue.join"},
		{expect: "task consumer waits at app.py:34", verdict: Fail, got: "its stack has app.py:33 consume"},
		{expect: "task producer waits", verdict: Fail, got: "there is none in the recording, but: task consumer waits in Queue.join"},
		{expect: "greenlet waits", verdict: Fail, got: "there is none in the recording"},
		{expect: "thread worker waits at app.py:26", verdict: Pass},
		{expect: "thread main waits in Thread.join", verdict: Pass},
		{expect: "exactly 2 thread waits", verdict: Pass},
		{expect: "thread start", verdict: Fail, got: "there is none in the recording"},
		{expect: "deadlock", verdict: Pass},
		{expect: "deadlock of left and right", verdict: Pass},
		{expect: "deadlock of right and left", verdict: Pass},
		{expect: "deadlock of worker and other", verdict: Pass},
		{expect: "deadlock of work* and *", verdict: Pass},
		{expect: "deadlock of left", verdict: Fail, got: "there is none in the recording, but: deadlock of worker and other"},
		{expect: "deadlock of left and right and third", verdict: Fail, got: "there is none in the recording, but: deadlock of worker and other"},
		{expect: "deadlock of left and worker", verdict: Fail, got: "there is none in the recording, but: deadlock of worker and other"},
		{expect: "no deadlock", verdict: Fail, got: "it happened once"},
		{expect: "lock at app.py:24 held by worker at end", verdict: Pass},
		{expect: "lock left held by worker", verdict: Pass},
		{expect: "lock left held by other", verdict: Fail, got: "it is held by worker"},
		{expect: "lock middle held by other", verdict: Fail, got: "there is none in the recording, but: lock left held by worker, lock right held by other"},
		{expect: "lock held by nobody", verdict: Fail, got: "it is held by worker"},
		{expect: "deadlock as d\nconnect before d", verdict: Pass},
		{expect: "no deadlock", change: unknown, verdict: Unjudged, got: "what the objects of process 1 were at the end is not in the recording"},
		{expect: "timeout within 2 events of connect", verdict: Pass},
		{expect: "deadlock\nconnect within 1 events of end", verdict: Fail, got: "it came earlier, by 2"},
		{expect: "line app.py:12 where retries > 3", verdict: Pass},
		{expect: "exactly 1 line app.py:12 where retries>3", verdict: Pass},
		{expect: "2nd line app.py:12 where retries > 3", verdict: Fail, got: "it happened once"},
		{expect: "line app.py:12 where retriez > 3", verdict: Unjudged, got: `retriez > 3: no variable "retriez" here`},
		{expect: "line app.py:12 where other > 3", verdict: Unjudged, got: "the condition other > 3 was not judged there"},
		{expect: "return find returning None", verdict: Pass},
		{expect: `return find returning "three"`, verdict: Pass},
		{expect: `return find returning "t*"`, verdict: Pass},
		{expect: "return find returning 8.0", verdict: Pass},
		{expect: "return find returning > 7", verdict: Pass},
		{expect: "exactly 1 return find returning < 9", verdict: Pass},
		{expect: "return find returning 9", verdict: Fail, got: "it returned None"},
		{expect: `return find returning "None"`, verdict: Fail, got: "it returned None"},
		{expect: "raise ValueError matching item", verdict: Pass},
		{expect: `raise ValueError matching "no such * 42"`, verdict: Pass},
		{expect: `raise ValueError matching "item 42"`, verdict: Fail, got: `its message is "no such item: 42"`},
	}
	for _, tt := range tests {
		t.Run(tt.expect, func(t *testing.T) {
			f := standing()
			if tt.change != nil {
				tt.change(f)
			}
			checks := expected(t, f, "connect\n"+tt.expect)
			if c := checks[len(checks)-1]; c.Verdict != tt.verdict || c.Got != tt.got {
				t.Errorf("%s: %q\nwant %s: %q", c.Verdict, c.Got, tt.verdict, tt.got)
			}
		})
	}
}

// TestStandsForms holds that maps say the same as sentences.
func TestStandsForms(t *testing.T) {
	text := `version: 1
recording: rec.pyrr.zip
expect:
  - {id: c, event: task consumer waits, in: Queue.join, at: "app.py:33"}
  - {event: lock left, held by: worker at end}
  - {event: "line app.py:12", where: retries > 3}
  - {event: raise ValueError, matching: "such item: 42"}
  - {event: return find, returning: None}
`
	run := check(t, specIn(t, t.TempDir(), text), standing(), Options{})
	for _, c := range run.Specs[0].Checks {
		if c.Verdict != Pass {
			t.Errorf("%s: %s %s", c.Want, c.Verdict, c.Got)
		}
	}
}

// TestGoldenTasks holds the stacks of tasks against goldens, made and read.
func TestGoldenTasks(t *testing.T) {
	dir := t.TempDir()
	spec := "version: 1\nrecording: rec.pyrr.zip\ngolden:\n  - {at: end, tasks: all, file: golden/tasks.stack}\n"
	run := check(t, specIn(t, dir, spec), standing(), Options{})
	if c := run.Specs[0].Checks[0]; !c.Golden.Missing || !strings.Contains(c.Golden.Text, "# end  thread consumer") || !strings.Contains(c.Golden.Text, "app.py:33") {
		t.Fatalf("%+v", c.Golden)
	} else {
		goldentest.Write(t, dir+"/golden/tasks.stack", c.Golden.Text)
	}
	verdict := func(change func(f *fake)) (Verdict, string) {
		f := standing()
		change(f)
		c := check(t, specIn(t, dir, spec), f, Options{}).Specs[0].Checks[0]
		return c.Verdict, c.Got
	}
	if v, got := verdict(func(*fake) {}); v != Pass {
		t.Errorf("the same: %s %s", v, got)
	}
	if v, got := verdict(func(f *fake) { f.state.Tasks[0].Python.Frames[1].Line = 40 }); v != Fail {
		t.Errorf("another line: %s %s", v, got)
	}
	if v, got := verdict(func(f *fake) { f.state.Tasks = nil }); v != Fail || got != "there is no task at the end" {
		t.Errorf("no task: %s %s", v, got)
	}
	if v, got := verdict(func(f *fake) { f.state.Tasks, f.state.Unknown = nil, "nobody looked" }); v != Unjudged || got != "nobody looked" {
		t.Errorf("not known: %s %s", v, got)
	}
}

// TestXFailFingerprint holds that a failure that is known is no other one.
func TestXFailFingerprint(t *testing.T) {
	verdict := func(fingerprint string) (Verdict, string) {
		spec := "version: 1\nrecording: rec.pyrr.zip\nxfail: {fingerprint: \"" + fingerprint + "\"}\nexpect: [no deadlock, connect]\n"
		s := check(t, specIn(t, t.TempDir(), spec), standing(), Options{}).Specs[0]
		return s.Verdict, s.Reason
	}
	if v, why := verdict("pyrr1:0123456789abcdef"); v != XFailed {
		t.Errorf("the known one: %s %s", v, why)
	}
	if v, why := verdict("pyrr1:ffffffffffffffff"); v != Fail || why != "xfail is about pyrr1:ffffffffffffffff, and this is pyrr1:0123456789abcdef" {
		t.Errorf("another one: %s %s", v, why)
	}
}
