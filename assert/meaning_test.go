package assert

import (
	"testing"
)

// meaningCases are expectations, and what comes of them.
var meaningCases = []struct {
	name    string
	expect  string
	change  func(f *fake)
	verdict Verdict
	got     string
}{
	{name: "an event", expect: "connect", verdict: Pass},
	{name: "name of the C library", expect: "recv", verdict: Pass},
	{name: "no such event", expect: "bind", verdict: Fail, got: "there is none in the recording"},
	{name: "no such event under another name", expect: "sleep", verdict: Fail, got: "there is none in the recording"},
	{name: "address", expect: "connect to 127.0.0.1:8888", verdict: Pass},
	{name: "any port", expect: "connect to 127.0.0.1:*", verdict: Pass},
	{name: "other address", expect: "connect to 10.0.0.1:*", verdict: Fail, got: "its address is 127.0.0.1:8888"},
	{name: "address of a connected socket", expect: "recv to 127.0.0.1:8888", verdict: Pass},
	{name: "at a line deep in the stack", expect: "recv at urllib3/connection.py:504", verdict: Pass},
	{name: "at another line", expect: "recv at urllib3/connection.py:503", verdict: Fail, got: "its stack has urllib3/connection.py:504 HTTPConnection.getresponse"},
	{name: "at about a line", expect: "recv at urllib3/connection.py:502±2", verdict: Pass},
	{name: "at about another line", expect: "recv at urllib3/connection.py:502±1", verdict: Fail, got: "its stack has urllib3/connection.py:504 HTTPConnection.getresponse"},
	{name: "whole components only", expect: "recv at lib3/connection.py:504", verdict: Fail, got: "that is not on its stack"},
	{name: "under a function", expect: "recv under requests/api.py::get", verdict: Pass},
	{name: "in a method", expect: "recv in HTTPConnection.getresponse", verdict: Pass},
	{name: "in a method by its last name", expect: "recv in getresponse", verdict: Pass},
	{name: "in part of a name", expect: "recv in response", verdict: Fail, got: "that is not on its stack"},
	{name: "in another method", expect: "recv in HTTPResponse.getresponse", verdict: Fail, got: "that is not on its stack"},
	{name: "directly", expect: "recv directly at socket.py:706", verdict: Pass},
	{name: "not directly", expect: "recv directly at urllib3/connection.py:504", verdict: Fail, got: "that is not on its stack"},
	{name: "old Python keeps no classes", expect: "recv in HTTPConnection.getresponse",
		change: func(f *fake) {
			f.info.Pythons[1] = "3.9.2"
			f.stacks[8].Python.Frames[2].Func = "getresponse"
		}, verdict: Unjudged, got: "CPython 3.9.2 keeps no qualified names, so HTTPConnection.getresponse can't be told from other functions of that name"},
	{name: "stack cut short", expect: "recv in nowhere", change: func(f *fake) { f.stacks[8].Python.Frames[4].Err = "bad pointer" },
		verdict: Unjudged, got: "the Python stack could not be read whole: bad pointer"},
	{name: "stack cut short after the frame", expect: "recv in getresponse", change: func(f *fake) { f.stacks[8].Python.Frames[4].Err = "bad pointer" }, verdict: Pass},
	{name: "no Python there", expect: "recv in nowhere", change: noPython, verdict: Fail, got: "it runs no Python there"},
	{name: "no Python known there", expect: "recv in nowhere", change: func(f *fake) {
		noPython(f)
		f.info.Uncounted = map[int]bool{1: true}
	}, verdict: Unjudged, got: "the interpreter was not counted, so its Python stacks are not known (pyrr doctor says why)"},
	{name: "no count of the process", expect: "recv within 100 instructions of connect", change: func(f *fake) { f.info.Uncounted = map[int]bool{1: true} },
		verdict: Unjudged, got: "the instructions of process 1 were not counted"},
	{name: "no stack", expect: "recv in nowhere", change: func(f *fake) { delete(f.stacks, 8) }, verdict: Unjudged, got: "the Python stack could not be read there"},
	{name: "through C", expect: "recv through sock_recv", verdict: Pass},
	{name: "through C by its public name", expect: "recv through recv", verdict: Pass},
	{name: "not through C", expect: "recv through ssl_read", verdict: Fail, got: "it is not on its C stack"},
	{name: "through C without C stacks", expect: "sendto through sock_send", verdict: Unjudged, got: "needs C stacks, which were not read"},
	{name: "within instructions of the thread", expect: "recv within 4350 instructions of connect", verdict: Pass},
	{name: "an instruction later", expect: "recv within 4,349 instructions of connect", verdict: Fail, got: "it came after 4,350"},
	{name: "instructions of the process where threads differ", expect: "futex within 1620 instructions of connect", verdict: Pass},
	{name: "an instruction of the process later", expect: "futex within 1619 instructions of connect", verdict: Fail, got: "it came after 1,620"},
	{name: "thread instructions of two threads", expect: "futex within 5000 thread instructions of connect", verdict: Unjudged, got: "connect was made by another thread, and each counts its own instructions"},
	{name: "no clock", expect: "recv within 5 instructions of connect", change: func(f *fake) { f.info.NoClock = true }, verdict: Unjudged, got: "no instructions were counted in this recording"},
	{name: "within time", expect: "recv within 10 ms of connect", verdict: Pass},
	{name: "not within time", expect: "recv within 9ms of connect", verdict: Fail, got: "it came after 10ms"},
	{name: "within syscalls", expect: "recv within 3 syscalls of connect", verdict: Pass},
	{name: "not within syscalls", expect: "recv within 2 syscalls of connect", verdict: Fail, got: "it came after 3"},
	{name: "within events", expect: "recv within 3 events of connect", verdict: Pass},
	{name: "within of the end", expect: "signal SIGALRM within 29 s of end", verdict: Pass},
	{name: "not within of the end", expect: "signal SIGALRM within 28 s of end", verdict: Fail, got: "it came earlier, by 29s"},
	{name: "within of the start", expect: "connect within 1 s of start", verdict: Pass},
	{name: "instructions of the start", expect: "connect within 181380 instructions of start", verdict: Pass},
	{name: "within has an order", expect: "connect as conn\nfutex within 5 s of conn\nsocket within 5 s of conn", verdict: Fail, got: "it came before conn"},
	{name: "no such reference", expect: "recv within 5 s of bind", verdict: Fail, got: "no bind came before it"},
	{name: "blocked", expect: "recv blocked", verdict: Pass},
	{name: "blocked at end", expect: "recv blocked at end", verdict: Pass},
	{name: "blocked at end for", expect: "recv blocked at end for > 2s", verdict: Pass},
	{name: "blocked for too long", expect: "recv blocked at end for > 30s", verdict: Fail, got: "it had lasted 30s at the end"},
	{name: "blocked for less", expect: "recv blocked for < 2s", verdict: Fail, got: "it had lasted 30s at the end"},
	{name: "not blocked", expect: "sendto blocked at end", verdict: Fail, got: "it returned after 0s"},
	{name: "blocked at the end of a cut recording", expect: "recv blocked at end for > 2s", change: cutShort, verdict: Unjudged, got: "the recording was cut: killed"},
	{name: "taking", expect: "connect taking <= 1ms", verdict: Pass},
	{name: "taking longer", expect: "connect taking > 1ms", verdict: Fail, got: "it took 1ms"},
	{name: "taking of an unfinished call", expect: "recv taking > 29s", verdict: Pass},
	{name: "by name", expect: "recv by worker", verdict: Pass},
	{name: "by number", expect: "recv by 2", verdict: Pass},
	{name: "by main", expect: "futex by main", verdict: Pass},
	{name: "by another", expect: "recv by main", verdict: Fail, got: "it was made by thread 2 worker"},
	{name: "by name without names", expect: "recv by worker", change: func(f *fake) {
		for i := range f.events {
			f.events[i].ThreadName = ""
		}
	}, verdict: Unjudged, got: "the recording holds no names of threads"},
	{name: "descriptor", expect: "recv on fd 3", verdict: Pass},
	{name: "captured descriptor", expect: "socket as s\nrecv on fd $s.fd", verdict: Pass},
	{name: "captured from another event", expect: "openat on /etc/hosts as s\nrecv on fd $s.fd", verdict: Fail, got: "its descriptor is 3"},
	{name: "same descriptor", expect: "connect as conn\nno sendto on same fd between conn and end", verdict: Fail, got: "it happened once"},
	{name: "none on the same descriptor", expect: "connect as conn\nno read on same fd after conn", verdict: Pass},
	{name: "path", expect: "read on /etc/hosts", verdict: Pass},
	{name: "path by its last parts", expect: "read on etc/hosts", verdict: Pass},
	{name: "path with a star", expect: "openat on *.missing", verdict: Fail, got: "its path is /etc/hosts"},
	{name: "argument", expect: "socket with domain=AF_INET, protocol=0", verdict: Pass},
	{name: "argument as a number", expect: "socket with domain=2", verdict: Pass},
	{name: "argument with a star", expect: "socket with type=SOCK_STREAM*", verdict: Pass},
	{name: "other argument", expect: "socket with domain=AF_INET6", verdict: Fail, got: "its domain is AF_INET"},
	{name: "returning", expect: "socket returning 3", verdict: Pass},
	{name: "returning at least", expect: "socket returning >= 0", verdict: Pass},
	{name: "returning an error", expect: "open on /etc/missing returning -1", verdict: Pass},
	{name: "returning something else", expect: "socket returning 4", verdict: Fail, got: "it returned 3"},
	{name: "never returned", expect: "recv returning 0", verdict: Fail, got: "it had not returned at the end"},
	{name: "failing", expect: "openat failing", verdict: Pass},
	{name: "failing with", expect: "openat failing with ENOENT", verdict: Pass},
	{name: "failing otherwise", expect: "open on /etc/missing failing with EACCES", verdict: Fail, got: "it returned ENOENT"},
	{name: "after", expect: "connect as conn\nrecv after conn", verdict: Pass},
	{name: "not after", expect: "recv as r\nconnect after r", verdict: Fail, got: "it came before r (at 185,730)"},
	{name: "before", expect: "connect before recv", verdict: Pass},
	{name: "not before", expect: "recv before connect", verdict: Fail, got: "no connect came after it"},
	{name: "between", expect: "sendto between connect and recv", verdict: Pass},
	{name: "not between", expect: "futex between connect and sendto", verdict: Fail, got: "no sendto came after it"},
	{name: "exactly", expect: "exactly 2 openat", verdict: Pass},
	{name: "too few", expect: "exactly 3 openat", verdict: Fail, got: "it happened twice"},
	{name: "too many", expect: "exactly 1 openat", verdict: Fail, got: "it happened twice"},
	{name: "at least", expect: "at least 2 openat", verdict: Pass},
	{name: "at most", expect: "connect\nat most 1 openat", verdict: Fail, got: "it happened twice"},
	{name: "no", expect: "connect\nno bind", verdict: Pass},
	{name: "no, but", expect: "connect\nno openat", verdict: Fail, got: "it happened twice"},
	{name: "ordinal", expect: "2nd openat as o\nread before o", verdict: Pass},
	{name: "ordinal out of reach", expect: "3rd openat", verdict: Fail, got: "it happened twice"},
	{name: "last", expect: "last openat as o\nclose before o", verdict: Pass},
	{name: "first", expect: "first openat as o\nclose before o", verdict: Fail, got: "it came after o (at 150,000)"},
	{name: "an id that found nothing", expect: "bind as b\nrecv after b", verdict: Unjudged, got: "b found no event"},
	{name: "no after an id that found nothing", expect: "bind as b\nno sendto after b", verdict: Unjudged, got: "b found no event"},
	{name: "signal", expect: "signal SIGALRM", verdict: Pass},
	{name: "signal without SIG", expect: "signal alrm by main", verdict: Pass},
	{name: "other signal", expect: "signal SIGINT", verdict: Fail, got: "there is none in the recording"},
	{name: "timeout", expect: "timeout after recv", verdict: Pass},
	{name: "end", expect: "end", verdict: Pass},
	{name: "call", expect: "call socket.py::getaddrinfo before connect", verdict: Pass},
	{name: "call from somewhere", expect: "call getaddrinfo under create_connection by worker", verdict: Pass},
	{name: "call of another file's function", expect: "call ssl.py::getaddrinfo", verdict: Fail, got: "there is none in the recording"},
	{name: "call too late", expect: "call getaddrinfo after connect", verdict: Fail, got: "no connect came before it"},
	{name: "return", expect: "return getaddrinfo within 400 instructions of call getaddrinfo", verdict: Pass},
	{name: "return too far", expect: "return getaddrinfo within 399 instructions of call getaddrinfo", verdict: Fail, got: "it came after 400"},
	{name: "line", expect: "line urllib3/connection.py:504 after connect", verdict: Pass},
	{name: "another line", expect: "line urllib3/connection.py:505", verdict: Fail, got: "there is none in the recording"},
	{name: "reference to a line", expect: "recv within 130 instructions of line connection.py:504", verdict: Pass},
	{name: "raise", expect: "raise FileNotFoundError in app.py::config", verdict: Pass},
	{name: "raise elsewhere", expect: "raise FileNotFoundError in app.py::other", verdict: Fail, got: "its stack has app.py:7 config"},
	{name: "raise of a class in a module", expect: "raise builtins.FileNotFoundError", verdict: Pass},
	{name: "enter", expect: "enter sock_recv by worker", verdict: Pass},
	{name: "result of exit", expect: "exit returning 0", verdict: Pass},
	{name: "other result of exit", expect: "exit returning 1", verdict: Fail, got: "it returned 0"},
	{name: "test", expect: "test start", verdict: Unjudged, got: "test start needs marks of where tests start and end, and the recording holds none"},
	{name: "missing in a cut recording", expect: "bind", change: cutShort, verdict: Unjudged, got: "the recording was cut: killed"},
	{name: "none in a cut recording", expect: "connect\nno bind", change: cutShort, verdict: Unjudged, got: "the recording was cut: killed"},
	{name: "none in a closed part of a cut recording", expect: "recv as r\nno bind before r", change: cutShort, verdict: Pass},
	{name: "too many in a cut recording", expect: "connect\nat most 1 openat", change: cutShort, verdict: Fail, got: "it happened twice"},
	{name: "before in a cut recording", expect: "recv before bind", change: cutShort, verdict: Unjudged, got: "the recording was cut before any bind"},
	{name: "near the end of a cut recording", expect: "recv within 5 s of end", change: cutShort, verdict: Unjudged, got: "the recording was cut: killed"},
	{name: "found in a cut recording", expect: "connect", change: cutShort, verdict: Pass},
}

// TestMeaning holds single expectations against one recording. An expectation
// of several lines is several of them; the verdict is that of the last.
func TestMeaning(t *testing.T) {
	for _, tt := range meaningCases {
		t.Run(tt.name, func(t *testing.T) {
			f := slowHTTP()
			if tt.change != nil {
				tt.change(f)
			}
			checks := expected(t, f, tt.expect)
			c := checks[len(checks)-1]
			if c.Verdict != tt.verdict || c.Got != tt.got {
				t.Errorf("%s: %q\nwant %s: %q", c.Verdict, c.Got, tt.verdict, tt.got)
			}
		})
	}
}

func cutShort(f *fake) { f.info.Truncated, f.info.Why = true, "killed" }

// noPython leaves the thread of event 8 without a Python frame.
func noPython(f *fake) {
	st := f.stacks[8]
	st.Python.Frames, st.NoPython = nil, true
	f.stacks[8] = st
}
