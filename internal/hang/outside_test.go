package hang

import (
	"strings"
	"testing"
	"time"
)

// TestOutside checks what is said of threads that wait for something outside of the
// recording, or for something that a library does not show.
func TestOutside(t *testing.T) {
	waits := func(call string, peer *Peer) *Call {
		return &Call{TID: 1, Call: call, FD: 5, Peer: peer, For: 2 * time.Second, Event: 101}
	}
	site := []Frame{{Func: "Socket.recv_json", File: "/venv/lib/python3.11/site-packages/zmq/sugar/socket.py", Line: 7}, {Func: "ask", File: "app.py", Line: 9}}
	for _, c := range []struct {
		name        string
		call        *Call
		kids        []Kid
		unread      []Unread
		died        []Raised
		frames      []Frame
		refused     *Loop
		dead        []Dead
		want, never string
		degree      string
	}{
		{name: "no datagram has come", call: waits("recvfrom", &Peer{What: Datagrams, Addr: "127.0.0.1:53", Outside: true}),
			want: "MainThread waits for a datagram at its socket 127.0.0.1:53 (app.py:9), and none has come."},
		{name: "what was asked", call: waits("recvfrom", &Peer{What: "connection to", Addr: "10.0.0.7:6379", Outside: true, Got: 5, Mail: Mail{Asked: "BLPOP jobs 0"}}), degree: Proven,
			want: "MainThread waits for data from the connection to 10.0.0.7:6379 (app.py:9), which sent 5 bytes and is silent for 2.0 s; it was asked `BLPOP jobs 0`."},
		{name: "the input of a program is open", call: waits("read", &Peer{What: "pipe", Unrecorded: "pid 7 sort", Program: 7}), kids: []Kid{{PID: 7, Exe: "sort", Fed: []int{1}}},
			want: "; its input comes from a pipe whose writing end MainThread has open."},
		{name: "of another one", call: waits("read", &Peer{What: "pipe", Unrecorded: "pid 8 cat", Program: 8}), kids: []Kid{{PID: 7, Exe: "sort", Fed: []int{1}}},
			want: "(pid 8 cat), which has sent nothing.", never: "input"},
		{name: "any child", call: waits("wait4", nil), kids: []Kid{{PID: 7, Exe: "sleep"}, {PID: 8, Exe: "cat", Reaped: true}},
			want: "MainThread waits for a child process (app.py:9); child 7 (sleep) still runs."},
		{name: "native code", call: waits("poll", &Peer{What: EventFD}), frames: site, died: []Raised{{Type: "KeyError", Text: "'id'", Thread: "server"}},
			want: "MainThread waits in Socket.recv_json (app.py:9), in native code; thread server died of KeyError: 'id'."},
		{name: "refused", call: waits("poll", &Peer{What: EventFD}), frames: site, refused: &Loop{Fails: "connect(9, 127.0.0.1:1) = -1 ECONNREFUSED", Failed: 30},
			want: "MainThread waits in Socket.recv_json (app.py:9), in native code; the library can't connect to 127.0.0.1:1 (ECONNREFUSED), and tries again and again."},
		{name: "the sender has ended", call: waits("poll", &Peer{What: EventFD}), frames: site, dead: []Dead{{TID: 7, Name: "logs"}, {TID: 8, Name: "feed"}},
			want: "MainThread waits in Socket.recv_json (app.py:9), in native code; thread feed, which sends at line 3, has ended."},
		{name: "unread elsewhere", call: waits("epoll_wait", &Peer{What: "connection", Ends: []End{{1, 9}}}), unread: []Unread{{FD: 6, What: "connection", Bytes: 3, Proc: 1, TID: 44}},
			want: "to which nothing has come; 3 bytes lie unread in the connection of descriptor 6, which it does not watch."},
		{name: "unread, but it reads", call: waits("recvfrom", &Peer{What: "connection", Ends: []End{{1, 9}}}), unread: []Unread{{FD: 6, What: "connection", Bytes: 3, Proc: 1, TID: 44}},
			want: "whose other end nobody in this process uses", never: "unread"},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := thread(1, "MainThread", 9, nil)
			if c.frames != nil {
				u.Frames = c.frames
			}
			in := &Input{Procs: []*Process{{ID: 1, PID: 10, Hangs: true, Time: 3e9, Threads: []*Call{c.call}, Kids: c.kids, Unread: c.unread, Refused: c.refused, Facts: &Facts{Units: []Unit{u}, Died: c.died, Dead: c.dead}}}}
			text := "def publish(pub):\n    for n in range(3):\n        pub.send_json(n)\n\n\n\n\ndef ask(sub):\n    return sub.recv_json()\n"
			in.Source = func(string) string { return text }
			in.Text = func(_ string, line int) string { return strings.Split(text, "\n")[line-1] }
			in.Seen = func(_ int, d *Dead) []Frame {
				if d.Name == "feed" {
					return []Frame{{Func: "publish", File: "app.py", Line: 3}}
				}
				return nil
			}
			v := Judge(in)
			if !strings.Contains(v.Sentence, c.want) || c.never != "" && strings.Contains(v.Sentence, c.never) || v.Degree != or(c.degree, Likely) {
				t.Errorf("%s: %s\nwant %s", v.Degree, v.Sentence, c.want)
			}
		})
	}
}

// TestSemaphoreKnot: a circle over a semaphore with several holders counts as a circle only
// if none of the holders has another way out, and is never called proven.
func TestSemaphoreKnot(t *testing.T) {
	task := func(name string, w *Wait) Unit { return Unit{Kind: Task, Name: name, Frames: f(9), Wait: w} }
	wants := &Wait{How: "acquire", On: []int{0}}
	for _, free := range []bool{false, true} {
		y := &Wait{How: "gather", Units: []int{4}}
		if free {
			y = &Wait{How: "sleep", Limit: true}
		}
		v := Judge(&Input{Procs: []*Process{{ID: 1, PID: 10, Hangs: true, Facts: &Facts{
			Units: []Unit{thread(1, "MainThread", 9, &Wait{How: "loop", Units: []int{1}}), task("x", &Wait{How: "await", Units: []int{3}}), task("y", y),
				task("xa", wants), task("ya", wants)},
			Things: []Thing{{Kind: Semaphore, Name: "limit", Async: true, Hands: Hands{Locked: true, Holders: []Hold{{Unit: 1, Frame: -1}, {Unit: 2, Frame: -1}}}}}}}}})
		knot := v.Degree == Likely && v.Kind == "circle" && strings.Contains(v.Sentence, "held by task x and 1 more")
		if knot == free || v.Degree == Proven {
			t.Errorf("free %v: %s %s: %s", free, v.Degree, v.Kind, v.Sentence)
		}
	}
}

// TestTimerCancelled: a timer is called cancelled only where it can't have run.
func TestTimerCancelled(t *testing.T) {
	for after, want := range map[float64]string{60: "the timer of expire, which was to run after 60 s, was cancelled.", 0.5: "the timer of expire has ended."} {
		v := Judge(&Input{Procs: []*Process{{ID: 1, PID: 10, Hangs: true, Time: 3e9, Threads: []*Call{{TID: 1, Call: "futex", FD: -1, For: time.Second}}, Facts: &Facts{
			Units:  []Unit{thread(1, "MainThread", 9, &Wait{How: "wait", On: []int{0}})},
			Things: []Thing{{Kind: Event, Name: "expired", Fate: []Fate{{Kind: Thread, Name: "Thread-1", How: "ended", Timer: "expire", After: after}}}}}}}})
		if !strings.HasSuffix(v.Sentence, want) {
			t.Errorf("after %g: %s", after, v.Sentence)
		}
	}
}

// TestGoingRound: threads that wake each other in turns are said to go on, but a thread that
// has waited for long in such a loop is not.
func TestGoingRound(t *testing.T) {
	for _, long := range []bool{false, true} {
		c := &Call{TID: 1, Call: "futex", FD: -1, For: time.Millisecond, Event: 9, Loop: &Loop{Count: 900, For: time.Second, Every: time.Millisecond, Moves: true}}
		if long {
			c.For = time.Second
		}
		v := Judge(&Input{Procs: []*Process{{ID: 1, PID: 10, Hangs: true, Threads: []*Call{c, {TID: 2}}, Facts: &Facts{
			Units:  []Unit{thread(1, "MainThread", 9, &Wait{How: "wait", On: []int{0}}), thread(2, "pong", 6, nil)},
			Things: []Thing{{Kind: Event, Name: "turn", Hands: Hands{Known: []int{1}}}}}}}})
		if goes := strings.HasPrefix(v.Sentence, "No verdict: MainThread goes on in a loop"); goes == long || !long && v.Degree != None {
			t.Errorf("long %v: %s: %s", long, v.Degree, v.Sentence)
		}
	}
}

// TestTimerAtEnd: a timer that is being joined is called a timer, and is no reason for a
// deadlock.
func TestTimerAtEnd(t *testing.T) {
	timer := thread(2, "Thread-1", 9, &Wait{How: "wait", On: []int{0}, Limit: true})
	timer.Role = RoleTimer + " that runs flush after 300 s"
	v := Judge(&Input{Procs: []*Process{{ID: 1, PID: 10, Hangs: true, Facts: &Facts{
		Units:  []Unit{thread(1, "MainThread", 9, &Wait{How: "shutdown", Units: []int{1}}), timer},
		Things: []Thing{{Kind: Event}}}}}})
	if v.Degree != Likely || v.Sentence != "MainThread is at its end and joins thread Thread-1, which is a timer that runs flush after 300 s and was not cancelled." {
		t.Errorf("%s: %s", v.Degree, v.Sentence)
	}
}

// TestNativeLoop: a package's native loop, whose threads wake each other, is a wait where
// another thread is stuck all the while and nothing but a descriptor of the package's own is
// watched; a connection that moves data may bring what is asked for.
func TestNativeLoop(t *testing.T) {
	for what, waits := range map[string]bool{EventFD: true, "connection": false} {
		loop := &Call{TID: 1, Call: "epoll_wait", FD: 3, Peer: &Peer{What: what, Outside: true, Got: 9}, For: time.Millisecond, Event: 9, Loop: &Loop{Count: 200, For: 10 * time.Second, Every: 50 * time.Millisecond, Moves: true}}
		main := thread(1, "MainThread", 9, nil)
		main.Frames = []Frame{{Func: "_blocking", File: "/venv/lib/python3.13/site-packages/grpc/_channel.py", Line: 7}, {Func: "ask", File: "app.py", Line: 9}}
		v := Judge(&Input{Procs: []*Process{{ID: 1, PID: 10, Hangs: true, Threads: []*Call{loop, {TID: 2, Call: "futex", FD: -1, For: 9 * time.Second}}, Facts: &Facts{
			Units:  []Unit{main, thread(2, "worker", 6, &Wait{How: "wait", On: []int{0}})},
			Things: []Thing{{Kind: Event, Name: "release"}}}}}})
		if got := v.Degree == Likely && strings.Contains(v.Sentence, "; meanwhile worker waits for event release"); got != waits {
			t.Errorf("%s: %s: %s", what, v.Degree, v.Sentence)
		}
	}
}

// TestStarved: one that is woken again and again within one call, and does not get the lock, is
// not in a loop of its own: it waits for that lock, and is not deadlocked.
func TestStarved(t *testing.T) {
	for _, still := range []bool{false, true} {
		wait := &Call{TID: 1, Call: "futex", FD: -1, For: time.Millisecond, Event: 9, Loop: &Loop{Count: 90, For: 9 * time.Second, Every: 100 * time.Millisecond, Moves: true, Still: still}}
		v := Judge(&Input{Procs: []*Process{{ID: 1, PID: 10, Hangs: true, Threads: []*Call{wait, {TID: 2, Call: "clock_nanosleep", FD: -1, For: time.Millisecond}}, Facts: &Facts{
			Units:  []Unit{thread(1, "MainThread", 9, on("acquire", 0)), thread(2, "busy", 6, &Wait{How: "sleep"})},
			Things: []Thing{{Kind: Lock, Name: "lock", Hands: Hands{Locked: true, Holders: holds(1, 5)}}}}}}})
		if got := strings.Contains(v.Sentence, "waits for lock lock (app.py:9), held again and again by busy"); got != still || v.Degree == Proven {
			t.Errorf("still %v: %s: %s", still, v.Degree, v.Sentence)
		}
	}
}
