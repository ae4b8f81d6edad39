package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pyrr/assert"
	"pyrr/internal/goldentest"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

func golden(t *testing.T, name, got string) {
	t.Helper()
	goldentest.Compare(t, filepath.Join(home, "testdata", name), got)
}

var home, _ = os.Getwd()

// source is a recording made of values.
type source struct {
	info   assert.Info
	events []assert.Event
	stacks map[int]assert.Stacks
	ends   []assert.Stacks
	err    error
}

func (s *source) Info() assert.Info                                 { return s.info }
func (s *source) Events() ([]assert.Event, error)                   { return s.events, nil }
func (s *source) Stacks([]int, bool) (map[int]assert.Stacks, error) { return s.stacks, s.err }
func (s *source) SourceText(string, int) (string, bool)             { return "", false }

func (s *source) Execute([]*assert.EventPattern, bool) error { return nil }

func (s *source) State() (*assert.State, error)           { return &assert.State{}, nil }
func (s *source) EndStacks(bool) ([]assert.Stacks, error) { return s.ends, s.err }
func (s *source) Close() error                            { return nil }
func py(fn, file string, line int) stack.Frame {
	return stack.Frame{Kind: stack.Python, Func: fn, File: file, Line: line}
}
func python(name string, frames ...stack.Frame) assert.Stacks {
	return assert.Stacks{Proc: 1, Python: stack.Stack{Name: name, Frames: frames}}
}

const (
	site = "/venv/lib/python3.11/site-packages/"
	lib  = "/usr/lib/python3.11/"
	ms   = time.Millisecond
)

// slowHTTP is the story of an HTTP request whose answer never comes.
func slowHTTP() *source {
	ev := func(n int, instr uint64, name string, start, end time.Duration) assert.Event {
		return assert.Event{Proc: 1, PID: 100, TID: 101, Thread: 2, ThreadName: "worker", Kind: assert.KindSyscall, Name: name,
			Pos: recording.Pos{Instr: instr, Event: uint64(n)}, ThreadInstr: instr - 140000, Start: start, End: end, Call: assert.Call{FD: 3}}
	}
	connect := ev(0, 181380, "connect", 1000*ms, 1001*ms)
	connect.Addr = "127.0.0.1:8888"
	send := ev(1, 182479, "sendto", 1003*ms, 1003*ms)
	send.Ret = 148
	recv := ev(2, 185730, "recvfrom", 1010*ms, 31010*ms)
	recv.Unfinished = true
	tail := []stack.Frame{
		py("HTTPConnectionPool._make_request", site+"urllib3/connectionpool.py", 534),
		py("HTTPConnectionPool.urlopen", site+"urllib3/connectionpool.py", 789),
		py("HTTPAdapter.send", site+"requests/adapters.py", 667),
		py("Session.send", site+"requests/sessions.py", 703),
		py("get", site+"requests/api.py", 73),
		py("make_request", "/proj/app.py", 10),
	}
	return &source{
		info:   assert.Info{Root: "/proj", Pythons: map[int]string{1: "3.11.2"}, Arch: "amd64", Wall: 31010 * ms},
		events: []assert.Event{connect, send, recv},
		stacks: map[int]assert.Stacks{
			0: python("worker", append([]stack.Frame{py("create_connection", site+"urllib3/util/connection.py", 73)}, tail...)...),
			1: python("worker", append([]stack.Frame{py("HTTPConnection.send", lib+"http/client.py", 1035), py("HTTPConnection.request", site+"urllib3/connection.py", 441)}, tail...)...),
			2: python("worker", append([]stack.Frame{py("SocketIO.readinto", lib+"socket.py", 706), py("HTTPConnection.getresponse", site+"urllib3/connection.py", 504)}, tail...)...),
		},
	}
}

// runs are the runs of which each report has a golden.
func runs(t *testing.T) map[string]*assert.Run {
	t.Chdir(t.TempDir())
	goldentest.Write(t, "recordings/slow.pyrr.zip", "")
	goldentest.Write(t, "specs/pool_read.yaml", `version: 1
name: the pool read stalls after connect
recording: ../recordings/slow.pyrr.zip
expect:
  - connect to 127.0.0.1:* as conn

  - recv at urllib3/connection.py:504 within 2000 instructions of connect
  - recv at urllib3/connection.py:504 as recv
  - no sendto on same fd between conn and end
  - recv by main
golden:
  - at: recv
    file: golden/pool_read/recv.stack
  - at: conn
    file: golden/pool_read/connect.stack
`)
	goldentest.Write(t, "specs/golden/pool_read/recv.stack", `# recv  thread worker
Py  SocketIO.readinto   socket.py:706
Py  HTTPConnection.getresponse  urllib3/connection.py:504
Py  HTTPConnectionPool._make_request  urllib3/connectionpool.py:536
Py  HTTPConnectionPool.urlopen  urllib3/connectionpool.py:789
Py  HTTPAdapter.send    requests/adapters.py:667
…
Py  get                 requests/api.py:73
Py  make_request        app.py:10
`)
	goldentest.Write(t, "specs/holds.yaml", "version: 1\nrecording: ../recordings/slow.pyrr.zip\nexpect: [connect]\n")
	goldentest.Write(t, "specs/known.yaml", "version: 1\nrecording: ../recordings/slow.pyrr.zip\nxfail: \"issue 412: <bind>\"\nexpect: [bind]\n")
	goldentest.Write(t, "specs/subinterp.yaml", "version: 1\nrecording: ../recordings/slow.pyrr.zip\nrequires: {python: '>=3.14'}\nexpect: [connect]\n")
	goldentest.Write(t, "specs/unclear.yaml", "version: 1\nparams: {case: [plain, tls]}\nrecording: ../recordings/slow.pyrr.zip\nexpect: [test start before connect]\n")
	goldentest.Write(t, "specs/missing.yaml", "version: 1\nrecording: ../recordings/none.pyrr.zip\nexpect: [connect]\n")
	specs, err := assert.Load("specs")
	if err != nil {
		t.Fatal(err)
	}
	check := func(specs []*assert.Spec, change func(s *source)) *assert.Run {
		run, err := assert.Check(t.Context(), specs, func(string) (assert.Source, error) {
			s := slowHTTP()
			if change != nil {
				change(s)
			}
			return s, nil
		}, assert.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return run
	}
	only := func(name string) (out []*assert.Spec) {
		for _, s := range specs {
			if strings.Contains(s.File, name) {
				out = append(out, s)
			}
		}
		return out
	}
	failing := check(specs, nil)
	unused := check(only("holds"), nil)
	unused.Unused = []string{"specs/golden/old one.stack"}
	unused.Unmatched = []string{"recordings/other.pyrr.zip"}
	return map[string]*assert.Run{
		"failing": failing,
		"holding": check(only("holds"), nil),
		"nothing": check(nil, nil),
		"unused":  unused,
		"diverged": check(only("pool_read"), func(s *source) {
			s.err = fmt.Errorf("replay: %w", &assert.Divergence{Proc: 1, Pos: recording.Pos{Instr: 181380, Event: 7},
				Recorded: "connect(3, 127.0.0.1:8888)", Came: "close(3)", Around: []string{"181,000  socket() = 3"}})
		}),
		"hostile": check(only("pool_read"), func(s *source) {
			s.events[2].ThreadName = "a\x1b[31m\u202eb\xff"
			s.stacks[2].Python.Frames[0].Func = "f\n::error::g]]>"
		}),
	}
}

func TestTerminal(t *testing.T) {
	for name, run := range runs(t) {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := Terminal(&b, run, Options{}); err != nil {
				t.Fatal(err)
			}
			if bytes.ContainsRune(b.Bytes(), '\x1b') || bytes.ContainsRune(b.Bytes(), '\u202e') {
				t.Error("control characters on the screen")
			}
			golden(t, "terminal/"+name+".txt", b.String())
		})
	}
}

// TestColour holds that colour adds nothing but escape sequences.
func TestColour(t *testing.T) {
	for name, run := range runs(t) {
		var plain, colour bytes.Buffer
		if err := errors.Join(Terminal(&plain, run, Options{}), Terminal(&colour, run, Options{Colour: true})); err != nil {
			t.Fatal(err)
		}
		s := colour.String()
		if run.Outcome() != assert.OutcomeNothing && !strings.Contains(s, "\x1b[") {
			t.Errorf("%s: no colour", name)
		}
		for _, sgr := range []string{red, green, yellow, cyan, bold, dim, ""} {
			s = strings.ReplaceAll(s, "\x1b["+sgr+"m", "")
		}
		s = strings.ReplaceAll(s, "\x1b[0m", "")
		if diff := cmp.Diff(plain.String(), s); diff != "" {
			t.Errorf("%s (-plain +colour):\n%s", name, diff)
		}
	}
}

// eachRun runs a test for each of the runs, whose times are taken away.
func eachRun(t *testing.T, f func(t *testing.T, name string, run *assert.Run)) {
	for name, run := range runs(t) {
		t.Run(name, func(t *testing.T) {
			run.Elapsed = 0
			for _, s := range run.Specs {
				s.Elapsed = 0
			}
			f(t, name, run)
		})
	}
}

func TestJSON(t *testing.T) {
	eachRun(t, func(t *testing.T, name string, run *assert.Run) {
		var b, again bytes.Buffer
		if err := errors.Join(JSON(&b, run), JSON(&again, run)); err != nil {
			t.Fatal(err)
		}
		if !json.Valid(b.Bytes()) || !bytes.Equal(b.Bytes(), again.Bytes()) {
			t.Error("not JSON, or not the same twice")
		}
		golden(t, "json/"+name+".json", b.String())
	})
}

func TestJUnit(t *testing.T) {
	eachRun(t, func(t *testing.T, name string, run *assert.Run) {
		var b bytes.Buffer
		if err := JUnit(&b, run, false); err != nil {
			t.Fatal(err)
		}
		var back junitSuites
		if err := xml.Unmarshal(b.Bytes(), &back); err != nil {
			t.Fatalf("not XML: %v", err)
		}
		bad := run.Outcome() == assert.OutcomeFail || run.Outcome() == assert.OutcomeUnjudged || run.Outcome() == assert.OutcomeBroken
		if (back.Failures+back.Errors > 0) != bad {
			t.Errorf("outcome %v, %d failures and %d errors", run.Outcome(), back.Failures, back.Errors)
		}
		golden(t, "junit/"+name+".xml", b.String())
	})
}

func TestGitHub(t *testing.T) {
	for name, run := range runs(t) {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := GitHub(&b, run, false); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(b.String()) {
				if !strings.HasPrefix(line, "::error ") {
					t.Errorf("not a command: %q", line)
				}
			}
			golden(t, "github/"+name+".txt", b.String())
		})
	}
}

// TestAllowUnjudged holds that what may be inconclusive is not an error then.
func TestAllowUnjudged(t *testing.T) {
	run := runs(t)["diverged"]
	var junit, github bytes.Buffer
	if err := errors.Join(JUnit(&junit, run, true), GitHub(&github, run, true)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(junit.String(), "<error") || !strings.Contains(junit.String(), "<skipped") {
		t.Errorf("%s", junit.String())
	}
	if !strings.HasPrefix(github.String(), "::warning ") {
		t.Errorf("%s", github.String())
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestWriteErrors(t *testing.T) {
	run := runs(t)["failing"]
	for name, err := range map[string]error{
		"terminal": Terminal(broken{}, run, Options{}), "json": JSON(broken{}, run), "junit": JUnit(broken{}, run, false), "github": GitHub(broken{}, run, false),
	} {
		if err == nil {
			t.Errorf("%s hides an error", name)
		}
	}
}

// TestHintsNearest holds that the hints lead to the nearest candidate, which
// need not be the first in time.
func TestHintsNearest(t *testing.T) {
	moment := func(event uint64) assert.Moment {
		return assert.Moment{Proc: 1, Pos: recording.Pos{Event: event}, Chosen: true}
	}
	c := &assert.Result{Verdict: assert.Fail, Moments: []assert.Moment{moment(3), moment(9)}}
	s := &assert.SpecResult{Spec: &assert.Spec{File: "s.yaml"}, Recording: "r.pyrr.zip"}
	for _, tt := range []struct {
		nearest []assert.Candidate
		want    string
	}{
		{nil, "pyrr bt --at e3 r.pyrr.zip"},
		{[]assert.Candidate{{Moment: moment(9)}, {Moment: moment(3)}}, "pyrr bt --at e9 r.pyrr.zip"},
	} {
		c.Nearest = tt.nearest
		if h := Hints(s, c); len(h) == 0 || h[0].Command != tt.want {
			t.Errorf("%+v, want %s", h, tt.want)
		}
	}
}
