package assert

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pyrr/internal/goldentest"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

// fake is a Source made of values. It counts what it is asked for.
type fake struct {
	info     Info
	events   []Event
	stacks   map[int]Stacks
	ends     []Stacks
	err      error // of Events
	stackErr error
	opened   int
	passes   int
	asked    []int
	closed   int
	// late gives the threads their names only after Stacks.
	late bool
	// shown are the events that Execute finds; each has the stack beside it.
	shown      []Event
	shownStack []Stacks
	executed   int
	state      *State
}

// Execute puts the wanted events where their positions are.
func (f *fake) Execute(want []*EventPattern, _ bool) error {
	f.executed++
	var merged []Event
	stacks := map[int]Stacks{}
	next := 0
	show := func(limit uint64) {
		for ; next < len(f.shown) && f.shown[next].Pos.Instr < limit; next++ {
			e := f.shown[next]
			if slices.ContainsFunc(want, func(p *EventPattern) bool { return p.Executed(&e, f.info.Pythons[1]) }) {
				stacks[len(merged)] = f.shownStack[next]
				merged = append(merged, e)
			}
		}
	}
	for i, e := range f.events {
		if e.Proc == 1 {
			show(e.Pos.Instr)
		}
		if s, ok := f.stacks[i]; ok {
			stacks[len(merged)] = s
		}
		merged = append(merged, e)
	}
	f.events, f.stacks = merged, stacks
	return nil
}

func (f *fake) Info() Info   { return f.info }
func (f *fake) Close() error { f.closed++; return nil }

func (f *fake) Events() ([]Event, error) {
	out := slices.Clone(f.events)
	for i := range out {
		if f.late && f.passes == 0 {
			out[i].ThreadName = ""
		}
	}
	return out, f.err
}

func (f *fake) State() (*State, error) {
	if f.state == nil {
		return &State{}, nil
	}
	return f.state, nil
}

func (f *fake) SourceText(string, int) (string, bool) { return "", false }

func (f *fake) EndStacks(bool) ([]Stacks, error) {
	return f.ends, f.stackErr
}

func (f *fake) Stacks(want []int, c bool) (map[int]Stacks, error) {
	f.passes++
	if !slices.IsSorted(want) {
		return nil, errors.New("the wanted events are not in order")
	}
	out := map[int]Stacks{}
	for _, i := range want {
		if slices.Contains(f.asked, i) {
			return nil, errors.New("an event is asked for twice")
		}
		f.asked = append(f.asked, i)
		if s, ok := f.stacks[i]; ok {
			out[i] = s
		}
	}
	return out, f.stackErr
}

func (f *fake) open(string) (Source, error) { f.opened++; return f, nil }

const ms = time.Millisecond

// pythonStack makes a stack of "file:line func" frames, innermost first.
func pythonStack(name string, frames ...stack.Frame) Stacks {
	return Stacks{Proc: 1, Python: stack.Stack{Name: name, Frames: frames}}
}

func py(fn, file string, line int) stack.Frame {
	return stack.Frame{Kind: stack.Python, Func: fn, File: file, Line: line}
}

const site = "/venv/lib/python3.11/site-packages/"
const lib = "/usr/lib/python3.11/"

// slowHTTP is the story of an HTTP request whose answer never comes.
func slowHTTP() *fake {
	connectStack := pythonStack("worker", py("create_connection", site+"urllib3/util/connection.py", 73),
		py("HTTPConnection._new_conn", site+"urllib3/connection.py", 199), py("get", site+"requests/api.py", 73))
	sendStack := pythonStack("worker", py("HTTPConnection.send", lib+"http/client.py", 1035),
		py("HTTPConnection.request", site+"urllib3/connection.py", 441), py("get", site+"requests/api.py", 73))
	recvStack := pythonStack("worker", py("SocketIO.readinto", lib+"socket.py", 706),
		py("HTTPResponse.begin", lib+"http/client.py", 318),
		py("HTTPConnection.getresponse", site+"urllib3/connection.py", 504),
		py("HTTPConnectionPool._make_request", site+"urllib3/connectionpool.py", 536),
		py("get", site+"requests/api.py", 73))
	mainStack := pythonStack("MainThread", py("Thread.join", lib+"threading.py", 1112), py("<module>", "/proj/app.py", 20))
	ev := func(thread int, instr, own uint64, name string, start, end time.Duration) Event {
		names := map[int]string{1: "MainThread", 2: "worker"}
		return Event{Proc: 1, PID: 100, TID: 99 + thread, Thread: thread, ThreadName: names[thread],
			Pos: recording.Pos{Instr: instr}, ThreadInstr: own, Kind: KindSyscall, Name: name, Start: start, End: end, Call: Call{FD: -1}}
	}
	f := &fake{info: Info{Root: "/proj", Pythons: map[int]string{1: "3.11.2"}, Arch: "amd64", Wall: 31000 * ms}}
	socket := ev(2, 181000, 41000, "socket", 900*ms, 900*ms)
	socket.Ret = 3
	socket.Args = []Arg{{"domain", "AF_INET", 2}, {"type", "SOCK_STREAM|SOCK_CLOEXEC", 0x80001}, {"protocol", "0", 0}}
	connect := ev(2, 181380, 41380, "connect", 1000*ms, 1001*ms)
	connect.FD, connect.Addr = 3, "127.0.0.1:8888"
	send := ev(2, 182479, 42479, "sendto", 1003*ms, 1003*ms)
	send.FD, send.Ret = 3, 148
	futex := ev(1, 183000, 100000, "futex", 1004*ms, 31000*ms)
	futex.Unfinished = true
	futex.Args = []Arg{{"uaddr", "0x7f00", 0x7f00}, {"op", "FUTEX_WAIT", 0}}
	recv := ev(2, 185730, 45730, "recvfrom", 1010*ms, 31000*ms)
	recv.FD, recv.Unfinished = 3, true
	recv.Args = []Arg{{"fd", "3", 3}, {"size", "8192", 8192}}
	other := ev(1, 150000, 90000, "openat", 500*ms, 501*ms)
	other.Path, other.Ret = "/etc/hosts", 7
	read := ev(1, 151000, 91000, "read", 510*ms, 510*ms)
	read.FD, read.Ret = 7, 20
	closeEv := ev(1, 152000, 92000, "close", 520*ms, 520*ms)
	closeEv.FD = 7
	failed := ev(1, 152500, 92500, "openat", 530*ms, 530*ms)
	failed.Path, failed.Ret, failed.Errno = "/etc/missing", -2, "ENOENT"
	f.events = []Event{other, read, closeEv, failed, socket, connect, send, futex, recv}
	extra := func(kind, name string, thread int, instr uint64, at time.Duration) {
		e := ev(thread, instr, 0, name, at, at)
		e.Kind = kind
		f.events = append(f.events, e)
	}
	extra(KindSignal, "SIGALRM", 1, 185900, 2000*ms)
	extra(KindTimeout, "", 1, 186000, 31000*ms)
	extra(KindEnd, "", 1, 186000, 31000*ms)
	for i := range f.events {
		f.events[i].Pos.Event = uint64(i)
	}
	// A helper: a process that becomes another program, which ends.
	addHelper(f)
	f.stacks = map[int]Stacks{5: connectStack, 6: sendStack, 7: mainStack, 8: recvStack}
	f.ends = []Stacks{mainStack, recvStack}
	show := func(thread int, instr uint64, kind, name string, s Stacks) {
		e := ev(thread, instr, instr-140000, name, 520*ms, 520*ms)
		e.Kind = kind
		if kind != KindEnter {
			e.Frame = &s.Python.Frames[0]
		}
		f.shown, f.shownStack = append(f.shown, e), append(f.shownStack, s)
	}
	config := pythonStack("MainThread", py("config", "/proj/app.py", 7), py("<module>", "/proj/app.py", 18))
	show(1, 152510, KindRaise, "FileNotFoundError", config)
	lookup := pythonStack("worker", py("getaddrinfo", lib+"socket.py", 952), py("create_connection", site+"urllib3/util/connection.py", 60))
	show(2, 180500, KindCall, "", lookup)
	show(2, 180900, KindReturn, "", lookup)
	line := Stacks{Proc: 1, Python: stack.Stack{Name: "worker", Frames: recvStack.Python.Frames[2:]}}
	show(2, 185600, KindLine, "", line)
	c := func(fn string) stack.Frame { return stack.Frame{Kind: stack.C, Func: fn, Module: "libc.so.6"} }
	recvStack.Full = &stack.Stack{Name: "worker", Frames: append([]stack.Frame{c("__libc_recv"), c("sock_recv")}, recvStack.Python.Frames...)}
	f.stacks[8] = recvStack
	show(2, 185720, KindEnter, "sock_recv", recvStack)
	return f
}

// addHelper adds a process that becomes another program, which ends.
func addHelper(f *fake) {
	helper := func(proc int, kinds ...string) {
		for i, kind := range kinds {
			f.events = append(f.events, Event{Proc: proc, PID: 200, TID: 200, Thread: 1, Pos: recording.Pos{Event: uint64(i)},
				Kind: kind, Start: 600 * ms, End: 600 * ms, Call: Call{FD: -1}})
		}
	}
	helper(2, KindThreadStart, KindExec, KindEnd)
	helper(3, KindThreadStart, KindThreadExit, KindExit, KindEnd)
}

// specIn writes a spec into a folder of its own and loads it. The fake
// recording exists as a file.
func specIn(t *testing.T, dir, text string) []*Spec {
	t.Helper()
	goldentest.Write(t, filepath.Join(dir, "rec.pyrr.zip"), "")
	file := filepath.Join(dir, "case.yaml")
	goldentest.Write(t, file, text)
	specs, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return specs
}

// expected checks a recording by lines of expect.
func expected(t *testing.T, f *fake, lines string) []*Result {
	t.Helper()
	text := "version: 1\nrecording: rec.pyrr.zip\nexpect:\n"
	for line := range strings.SplitSeq(lines, "\n") {
		text += "  - " + line + "\n"
	}
	run := check(t, specIn(t, t.TempDir(), text), f, Options{})
	if len(run.Specs[0].Checks) == 0 {
		t.Fatalf("no checks: %+v", run.Specs[0])
	}
	return run.Specs[0].Checks
}

func check(t *testing.T, specs []*Spec, f *fake, opts Options) *Run {
	t.Helper()
	run, err := Check(context.Background(), specs, f.open, opts)
	if err != nil {
		t.Fatal(err)
	}
	if f.closed != f.opened {
		t.Errorf("opened %d times, closed %d times", f.opened, f.closed)
	}
	return run
}
