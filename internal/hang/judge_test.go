package hang

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// f is a frame of the user's code.
func f(line int) []Frame { return []Frame{{Func: "work", File: "app.py", Line: line}} }

func thread(tid int32, name string, line int, w *Wait) Unit {
	return Unit{Kind: Thread, TID: tid, Name: name, Main: tid == 1, Frames: f(line), Wait: w}
}

func task(name string, w *Wait) Unit {
	return Unit{Kind: Task, TID: 1, Name: name, Frames: f(20), Wait: w}
}

func on(how string, things ...int) *Wait { return &Wait{How: how, On: things} }

func units(how string, units ...int) *Wait { return &Wait{How: how, Units: units} }

func holds(unit, line int) []Hold { return []Hold{{Unit: unit, Line: line}} }

func futex(tids ...int32) []*Call {
	var out []*Call
	for _, tid := range tids {
		out = append(out, &Call{TID: tid, Call: "futex", FD: -1, For: 2 * time.Second, Event: uint64(100 + tid)})
	}
	return out
}

// judgeCases are what a program's threads do, and the verdict on the program.
var judgeCases = []struct {
	name   string
	procs  []*Process
	degree string
	want   []string // parts of the sentence
	never  []string
}{
	{"two locks the wrong way round", []*Process{{ID: 1, PID: 10, Hangs: true, Threads: futex(1, 2, 3), Facts: &Facts{
		Units:  []Unit{thread(1, "MainThread", 9, units("join", 1)), thread(2, "a-to-b", 5, on("acquire", 1)), thread(3, "b-to-a", 5, on("acquire", 0))},
		Things: []Thing{{Kind: Lock, Name: "a", Hands: Hands{Locked: true, Holders: holds(1, 4)}}, {Kind: Lock, Name: "b", Hands: Hands{Locked: true, Holders: holds(2, 4)}}}}}},
		Proven, []string{"Deadlock: a-to-b waits for lock b (app.py:5), held by b-to-a, which waits for lock a (app.py:5), held by a-to-b."}, nil},
	{"a circle beside a main thread that goes on", []*Process{{ID: 1, PID: 10, Hangs: true, Threads: futex(1, 2, 3), Facts: &Facts{
		Units:  []Unit{thread(1, "MainThread", 9, nil), thread(2, "a-to-b", 5, on("acquire", 1)), thread(3, "b-to-a", 5, on("acquire", 0))},
		Things: []Thing{{Kind: Lock, Name: "a", Hands: Hands{Locked: true, Holders: holds(1, 4)}}, {Kind: Lock, Name: "b", Hands: Hands{Locked: true, Holders: holds(2, 4)}}}}}},
		Proven, []string{"Deadlock: a-to-b waits for lock b"}, nil},
	{"a lock that the thread has itself", []*Process{{ID: 1, PID: 10, Hangs: true, Threads: futex(1), Facts: &Facts{
		Units:  []Unit{thread(1, "MainThread", 9, on("acquire", 0))},
		Things: []Thing{{Kind: Lock, Name: "guard", Hands: Hands{Locked: true, Holders: holds(0, 7)}}}}}},
		Proven, []string{"MainThread waits for lock guard (app.py:9), which it holds itself since app.py:7"}, nil},
	{"an RLock may be taken again", []*Process{{ID: 1, PID: 10, Hangs: true, Threads: futex(1, 2), Facts: &Facts{
		Units:  []Unit{thread(1, "MainThread", 9, on("acquire", 0)), {Kind: Thread, TID: 2, Name: "w", Frames: f(20)}},
		Things: []Thing{{Kind: RLock, Name: "guard", Hands: Hands{Locked: true, Holders: holds(0, 7)}}}}}},
		"", nil, []string{"Deadlock"}},
	{"a pool whose workers wait for its own jobs", []*Process{{ID: 1, PID: 10, Hangs: true, Threads: futex(1, 2, 3), Facts: &Facts{
		Units: []Unit{thread(1, "MainThread", 9, on("result", 0)), thread(2, "render_0", 5, on("result", 1)), thread(3, "render_1", 5, on("result", 2))},
		Things: []Thing{{Kind: Future, Hands: Hands{Owed: []int{1}}}, {Kind: Future, Hands: Hands{Queued: true, Owed: []int{1, 2}}, Size: 2},
			{Kind: Future, Hands: Hands{Queued: true, Owed: []int{1, 2}}, Size: 2}}}}},
		Proven, []string{"both workers of pool \"render\" wait (app.py:5) for jobs that are queued in the same pool"}, nil},
	{"one that sleeps has at hand what another waits for", []*Process{{ID: 1, PID: 10, Hangs: true, Threads: futex(1), Facts: &Facts{
		Units: []Unit{thread(1, "MainThread", 9, &Wait{How: "loop", Units: []int{1}}), task("main", units("group", 2, 3)), task("left", on("get", 0)),
			task("right", &Wait{How: "sleep", Limit: true})},
		Things: []Thing{{Kind: Channel, Name: "numbers", Count: 1, Hands: Hands{Known: []int{1, 3}}}}}}},
		Likely, []string{"for task left, which waits for channel numbers", "which task right has at hand, which sleeps"}, []string{"still open"}},
	{"a pool with an idle worker has no deadlock", []*Process{{ID: 1, PID: 10, Hangs: true, Threads: futex(1, 2, 3), Facts: &Facts{
		Units:  []Unit{thread(1, "MainThread", 9, on("result", 0)), thread(2, "render_0", 5, on("result", 0)), {Kind: Thread, TID: 3, Name: "render_1", Role: "an idle worker of a pool", Frames: f(1)}},
		Things: []Thing{{Kind: Future, Hands: Hands{Queued: true, Owed: []int{1, 2}}, Size: 2}}}}},
		"", nil, []string{"Deadlock"}},
	{"the owner is not there", []*Process{{ID: 1, PID: 10, Hangs: true, Threads: futex(1), Facts: &Facts{
		Units:  []Unit{thread(1, "MainThread", 9, on("acquire", 0))},
		Things: []Thing{{Kind: RLock, Hands: Hands{Locked: true, Gone: true}}}}}},
		Proven, []string{"whose owner is a thread that does not exist any more"}, nil},
	{"who has it at hand is only likely", []*Process{{ID: 1, PID: 10, Hangs: true, Threads: futex(1, 2), Facts: &Facts{
		Units:  []Unit{thread(1, "MainThread", 9, on("wait", 0)), thread(2, "worker", 20, on("get", 1))},
		Things: []Thing{{Kind: Event, Name: "done", Hands: Hands{Known: []int{1}}}, {Kind: Queue, Name: "jobs", State: "empty"}}}}},
		Likely, []string{"MainThread waits for event done (app.py:9), which worker has at hand, which waits for an item of queue jobs (app.py:20)"}, []string{"Deadlock"}},
	{"two that know each other's events are no proven deadlock", []*Process{{ID: 1, PID: 10, Hangs: true, Threads: futex(1, 2), Facts: &Facts{
		Units:  []Unit{thread(1, "MainThread", 9, on("wait", 0)), thread(2, "worker", 20, on("wait", 1))},
		Things: []Thing{{Kind: Event, Name: "one", Hands: Hands{Known: []int{1}}}, {Kind: Event, Name: "two", Hands: Hands{Known: []int{0}}}}}}},
		Likely, nil, []string{"Deadlock:"}},
	{"a transaction on another connection", []*Process{{ID: 1, PID: 10, Hangs: true, Threads: []*Call{
		{TID: 1, Call: "poll", FD: -1, For: 2 * time.Second, Event: 90, Frames: f(9), Peer: &Peer{What: "connection to", Addr: "10.0.0.1:5432", Outside: true, Got: 400,
			Transaction: &Owner{What: "a transaction", Proc: 1, TID: 1, Event: 70, Where: &f(5)[0]}}}}}},
		Likely, []string{"MainThread waits for the answer of the database at 10.0.0.1:5432 (app.py:9): it has a transaction open on another connection, since app.py:5"}, nil},
	{"a client that tries again after its own time-out", []*Process{{ID: 1, PID: 10, Hangs: true, Threads: []*Call{
		{TID: 1, Call: "poll", FD: -1, For: 4 * time.Second, Limit: 5 * time.Second, Event: 90, Frames: f(9), Peer: &Peer{What: "connection to", Addr: "10.0.0.1:6379", Outside: true, Got: 300},
			Loop: &Loop{Count: 30, For: 10 * time.Second, Every: 300 * time.Millisecond, Call: "poll", Moves: true}}}}},
		Likely, []string{"MainThread polls the connection to 10.0.0.1:6379 (app.py:9), which sent 300 bytes and is silent for 4.0 s, with a time-out of 5.0 s"}, []string{"loop"}},
	{"a package's own loop, beside a thread that waits", []*Process{{ID: 1, PID: 10, Hangs: true, Threads: []*Call{
		{TID: 1, Call: "futex", FD: -1, For: time.Millisecond, Event: 90, Loop: &Loop{Count: 40, For: 8 * time.Second, Every: 200 * time.Millisecond, Call: "futex", Moves: true}},
		{TID: 2, Call: "futex", FD: -1, For: 7 * time.Second, Event: 50}}, Facts: &Facts{
		Units: []Unit{{Kind: Thread, TID: 1, Main: true, Frames: []Frame{{Func: "_blocking", File: "/v/site-packages/rpc/channel.py", Line: 3}, f(9)[0]}},
			thread(2, "rpc_0", 20, on("wait", 0))},
		Things: []Thing{{Kind: Event, Name: "ready"}}}}},
		Likely, []string{"MainThread waits (app.py:9 in _blocking), which polls: 40 times", "meanwhile rpc_0 waits for event ready (app.py:20), which nobody sets"}, []string{"Deadlock", "goes on"}},
	{"a helper of a package that waits for a job owes nothing; a lock that is kept meanwhile says more", []*Process{{ID: 1, PID: 10, Hangs: true, Threads: futex(1, 2, 3), Facts: &Facts{
		Units: []Unit{thread(1, "MainThread", 9, on("get", 0)), {Kind: Thread, TID: 2, Name: "feeder", Frames: []Frame{{Func: "run", File: "/v/site-packages/pool.py", Line: 3}}, Wait: on("get", 1)},
			thread(3, "worker", 20, on("acquire", 2))},
		Things: []Thing{{Kind: Queue, Name: "done", Hands: Hands{Known: []int{1}}}, {Kind: Queue, State: "empty"}, {Kind: Lock, Name: "cache", Hands: Hands{Locked: true, Holders: holds(0, 7)}}}}}},
		Likely, []string{"MainThread waits for an item of queue done (app.py:9), which is empty; it holds lock cache since app.py:7, for which worker waits (app.py:20)"}, []string{"feeder"}},
	{"a package's lock that is asked for is no proven deadlock", []*Process{{ID: 1, PID: 10, Hangs: true, Threads: futex(1), Facts: &Facts{
		Units:  []Unit{thread(1, "MainThread", 9, &Wait{How: "acquire", On: []int{0}, Asks: true})},
		Things: []Thing{{Kind: Lock, Name: "guard", Hands: Hands{Locked: true, Holders: holds(0, 7)}}}}}},
		Likely, []string{"MainThread waits for lock guard (app.py:9), which it holds itself since app.py:7"}, []string{"Deadlock"}},
	{"a function of atexit", []*Process{{ID: 1, PID: 10, Hangs: true, Threads: futex(1, 2), Facts: &Facts{
		Units:  []Unit{{Kind: Thread, TID: 1, Main: true, Frames: []Frame{{Func: "join", File: "/usr/lib/python3.11/threading.py", Line: 1}}, Wait: units("join", 1)}, thread(2, "worker", 20, on("get", 0))},
		Things: []Thing{{Kind: Queue, Name: "jobs", State: "empty"}}}}},
		Likely, []string{"MainThread is at its end and joins worker, which waits for an item of queue jobs (app.py:20)"}, nil},
	{"an answer to a datagram", []*Process{{ID: 1, PID: 10, Hangs: true, Threads: []*Call{
		{TID: 1, Call: "recvfrom", FD: 4, For: time.Second, Event: 9, Peer: &Peer{What: Datagrams, Mail: Mail{To: "127.0.0.1:53"}, Ends: []End{{1, 3}}}},
		{TID: 2, Call: "recvfrom", FD: 3, For: time.Second, Event: 8, Peer: &Peer{What: Datagrams, Addr: "127.0.0.1:53"}}}, Facts: &Facts{
		Units: []Unit{thread(1, "MainThread", 9, nil), thread(2, "server", 20, nil)}}}},
		Likely, []string{"MainThread waits for a datagram at its socket (app.py:9); its own last one went to the socket of server, which waits for a datagram at its socket (line 20)"}, nil},
	{"one that was caught on its way", []*Process{{ID: 1, PID: 10, Hangs: true, Threads: []*Call{
		{TID: 1, Call: "read", FD: 5, For: 3 * time.Millisecond, Event: 90, Frames: f(9), Peer: &Peer{What: "file", Addr: "/lib/x.pyc"}}}}},
		None, []string{"No verdict: MainThread was on its way (app.py:9): its last call, read, had lasted for 3 ms."}, []string{"waits"}},
	{"a reactor that has nothing to do", []*Process{{ID: 1, PID: 10, Hangs: true, Threads: []*Call{
		{TID: 1, Call: "epoll_wait", FD: 9, For: 4 * time.Second, Event: 90, Frames: []Frame{
			{File: "/x/twisted/internet/epollreactor.py", Line: 227, Func: "EPollReactor.doPoll"},
			{File: "/x/twisted/internet/base.py", Line: 700, Func: "ReactorBase.mainLoop"}, {File: "app.py", Line: 9, Func: "test_it"}}}}}},
		Likely, []string{"MainThread runs Twisted's reactor, to which nothing comes"}, []string{"descriptors"}},
	{"a thread that starts another", []*Process{{ID: 1, PID: 10, Hangs: true, Threads: futex(1), Facts: &Facts{
		Units: []Unit{{Kind: Thread, TID: 1, Name: "MainThread", Wait: &Wait{How: "wait", On: []int{0}, Frame: 2}, Frames: []Frame{
			{File: "/lib/threading.py", Line: 600, Func: "Event.wait"}, {File: "/lib/threading.py", Line: 930, Func: "Thread.start"}, {File: "app.py", Line: 9, Func: "f"}}}},
		Things: []Thing{{Kind: Event, Name: "t._started", Hands: Hands{Known: []int{0}}}}}}},
		None, []string{"waits until the thread that it starts has begun"}, []string{"nobody sets"}},
	{"one that computes", []*Process{{ID: 1, PID: 10, Hangs: true, Threads: []*Call{{TID: 1}}, Facts: &Facts{Units: []Unit{thread(1, "MainThread", 9, nil)}}}},
		None, []string{"No verdict: MainThread computes (app.py:9)"}, nil},
	{"an idle worker is never the culprit", []*Process{{ID: 1, PID: 10, Hangs: true, Threads: futex(1, 2), Facts: &Facts{
		Units:  []Unit{thread(1, "MainThread", 9, on("wait", 0)), {Kind: Thread, TID: 2, Name: "pool_0", Role: "an idle worker of a pool", Frames: f(3)}},
		Things: []Thing{{Kind: Event, Name: "done", Hands: Hands{Known: []int{1}}}}}}},
		Likely, []string{"MainThread waits for event done (app.py:9), which nobody sets"}, []string{"pool_0"}},
}

// TestJudge checks verdicts on graphs that are so small that one can be sure of them.
func TestJudge(t *testing.T) {
	for _, c := range judgeCases {
		t.Run(c.name, func(t *testing.T) {
			for _, p := range c.procs {
				if p.Facts != nil && !p.Facts.Sound() {
					t.Fatal("the facts of the test lead nowhere")
				}
			}
			v := Judge(&Input{Procs: c.procs})
			if c.degree != "" && v.Degree != c.degree {
				t.Errorf("degree %q: %s", v.Degree, v.Sentence)
			}
			for _, part := range c.want {
				if !strings.Contains(v.Sentence, part) {
					t.Errorf("no %q in %s", part, v.Sentence)
				}
			}
			for _, part := range c.never {
				if strings.Contains(v.Sentence, part) {
					t.Errorf("%q in %s", part, v.Sentence)
				}
			}
			if len(v.Evidence) == 0 {
				t.Error("no evidence")
			}
		})
	}
}

// TestLongCircle: the sentence leaves out the middle of a long circle, and what it says
// is true.
func TestLongCircle(t *testing.T) {
	const n = 30
	facts := &Facts{}
	for i := range n {
		facts.Units = append(facts.Units, thread(int32(i+1), fmt.Sprintf("t%d", i), 7, &Wait{How: "acquire", On: []int{(i + 1) % n}}))
		facts.Things = append(facts.Things, Thing{Kind: Lock, Hands: Hands{Locked: true, Holders: []Hold{{Unit: i, Line: 6}}}, Name: fmt.Sprintf("l%d", i)})
	}
	v := Judge(&Input{Procs: []*Process{{ID: 1, PID: 9, Hangs: true, Facts: facts}}})
	if v.Degree != Proven || !strings.HasPrefix(v.Sentence, "Deadlock: MainThread waits for lock l1 (app.py:7), held by t1, which waits for lock l2") ||
		!strings.HasSuffix(v.Long, "of whom the last, t29 waits for lock l0 (line 7), held by MainThread.") || len(v.Sentence) > longest+25 {
		t.Errorf("%s: %s", v.Degree, v.Sentence)
	}
}

// TestForgedFacts judges facts whose numbers lead nowhere.
func TestForgedFacts(t *testing.T) {
	for name, facts := range map[string]*Facts{
		"thing":  {Units: []Unit{{Kind: Thread, Main: true, Wait: &Wait{On: []int{7}}}}},
		"unit":   {Units: []Unit{{Kind: Thread, Main: true, Wait: &Wait{Units: []int{-1}}}}},
		"holder": {Units: []Unit{{Kind: Thread}}, Things: []Thing{{Hands: Hands{Holders: []Hold{{Unit: 3}}}}}},
		"frame":  {Units: []Unit{{Kind: Thread, Wait: &Wait{Frame: 9}}}},
		"owed":   {Things: []Thing{{Hands: Hands{Owed: []int{1 << 40}}}}},
		"known":  {Things: []Thing{{Hands: Hands{Known: []int{0}}}}},
	} {
		if facts.Sound() {
			t.Errorf("%s: is said to be sound", name)
		}
		Judge(&Input{Procs: []*Process{{ID: 1, Hangs: true, Facts: facts}}})
	}
}

// TestBlockedLoop makes a circle: a task holds a lock of threads; the thread that waits
// for that lock runs the task's event loop.
func TestBlockedLoop(t *testing.T) {
	holder := Unit{Kind: Task, TID: 1, Name: "first", Frames: f(4), Wait: &Wait{How: "future"}}
	runs := Unit{Kind: Task, TID: 1, Name: "second", Frames: f(9), Running: true}
	facts := &Facts{Units: []Unit{thread(1, "MainThread", 9, &Wait{How: "acquire", On: []int{0}}), holder, runs},
		Things: []Thing{{Kind: Lock, Name: "guard", Hands: Hands{Locked: true, Holders: []Hold{{Unit: 1, Line: 3}}}}}}
	v := Judge(&Input{Procs: []*Process{{ID: 1, PID: 9, Hangs: true, Facts: facts}}})
	const want = "Deadlock: MainThread (task second) waits for lock guard (app.py:9), held by task first, which can't go on while MainThread (task second) blocks its event loop."
	if v.Degree != Proven || v.Sentence != want {
		t.Errorf("%s: %s", v.Degree, v.Sentence)
	}
	// A loop that waits for its events blocks nobody.
	facts.Units[0].Wait = &Wait{How: "loop", Units: []int{1}}
	if v := Judge(&Input{Procs: []*Process{{ID: 1, PID: 9, Hangs: true, Facts: facts}}}); strings.Contains(v.Sentence, "Deadlock") {
		t.Error(v.Sentence)
	}
}

// TestTaken follows a lock that was taken outside of a with statement to its owner,
// unless somebody else could release it.
func TestTaken(t *testing.T) {
	facts := &Facts{Units: []Unit{thread(1, "MainThread", 9, &Wait{How: "acquire", On: []int{0}}), thread(2, "helper", 5, nil)},
		Things: []Thing{{Kind: Lock, Name: "door", Hands: Hands{Locked: true}, Taken: []Taken{{Unit: 0, Where: Frame{Func: "work", File: "app.py", Line: 3}}}}}}
	in := &Input{Procs: []*Process{{ID: 1, PID: 9, Hangs: true, Facts: facts}}}
	if v := Judge(in); v.Degree != Proven || v.Sentence != "Deadlock: MainThread waits for lock door (app.py:9), which it holds itself since app.py:3." {
		t.Errorf("%s: %s", v.Degree, v.Sentence)
	}
	facts.Things[0].Known = []int{1}
	if v := Judge(in); strings.Contains(v.Sentence, "Deadlock") {
		t.Errorf("helper could release it: %s", v.Sentence)
	}
	facts.Things[0].Known, facts.Things[0].Taken[0] = nil, Taken{Unit: -1, Name: "gone", Where: Frame{File: "app.py", Line: 2}}
	if v := Judge(in); v.Degree != Proven || !strings.Contains(v.Sentence, "which thread gone took at app.py:2 and never released; it has ended") {
		t.Errorf("%s: %s", v.Degree, v.Sentence)
	}
}

// TestBrief shortens sentences that do not fit into two lines.
func TestBrief(t *testing.T) {
	long := "Deadlock: first waits for lock a (some/long/path/module.py:11), held by second, which waits for lock b (some/long/path/module.py:12), held by third, which waits for c (other.py:3); no other thread or task has it at hand."
	if s, _ := brief(long); len(s) > longest || !strings.Contains(s, "(line 12)") || !strings.Contains(s, "other.py:3") {
		t.Errorf("%d bytes: %s", len(s), s)
	}
}

// TestBriefException: the arguments of an exception are left out whole, parentheses in them
// as well.
func TestBriefException(t *testing.T) {
	long := `Task Task-1 awaits a future (package_consumer_failed.py:32) that nobody completes; task Task-2 ended with ValueError("invalid literal for int() with base 10: 'x'") in consumer (package_consumer_failed.py:26).`
	want := `Task Task-1 awaits a future (package_consumer_failed.py:32) that nobody completes; task Task-2 ended with ValueError in consumer (line 26).`
	if s, _ := brief(long); s != want {
		t.Errorf("%s\nwant %s", s, want)
	}
}

// TestBriefThreads: threads that run one function keep what tells them apart.
func TestBriefThreads(t *testing.T) {
	for _, c := range []struct{ first, second, want string }{
		{"Thread-1 (move)", "Thread-2 (move)", "Deadlock: Thread-1 waits for lock LOCKS[1] (some_module.py:21), held by Thread-2, "},
		{"Thread-1 (move)", "Thread-2 (back)", "Deadlock: thread move waits for lock LOCKS[1] (some_module.py:21), held by thread back, "},
	} {
		long := "Deadlock: thread " + c.first + " waits for lock LOCKS[1] (some_module.py:21), held by thread " + c.second +
			", which waits for lock LOCKS[0] (some_module.py:21), held by thread " + c.first + "."
		if s, _ := brief(long); !strings.HasPrefix(s, c.want) {
			t.Errorf("%s\nwant %s…", s, c.want)
		}
	}
}
