package compare

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pyrr/assert"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

// source is a recording made of values.
type source struct {
	assert.Source
	events []assert.Event
	stacks map[int]assert.Stacks
	texts  map[string]string
}

func (s *source) Info() assert.Info               { return assert.Info{Root: "/proj"} }
func (s *source) Events() ([]assert.Event, error) { return s.events, nil }
func (s *source) Stacks([]int, bool) (map[int]assert.Stacks, error) {
	return s.stacks, nil
}
func (s *source) SourceText(file string, line int) (string, bool) {
	text, ok := s.texts[fmt.Sprintf("%s:%d", file, line)]
	return text, ok
}

// call adds a call of a thread at a line of /proj/app.py.
func (s *source) call(thread int, name, path string, line int) *assert.Event {
	n := len(s.events)
	s.events = append(s.events, assert.Event{
		Proc: 1, Thread: thread, ThreadName: map[int]string{1: "MainThread", 2: "worker"}[thread], Kind: assert.KindSyscall, Name: name, Call: assert.Call{Path: path, FD: -1},
		Pos: recording.Pos{Event: uint64(n)}, Start: time.Duration(n),
	})
	if s.stacks == nil {
		s.stacks, s.texts = map[int]assert.Stacks{}, map[string]string{}
	}
	s.stacks[n] = assert.Stacks{Python: stack.Stack{Frames: []stack.Frame{{Kind: stack.Python, Func: "f", File: "/proj/app.py", Line: line}}}}
	return &s.events[n]
}

func read(t *testing.T, s *source) *Side {
	t.Helper()
	side, err := Read(s)
	if err != nil {
		t.Fatal(err)
	}
	return side
}

func sides(t *testing.T, a, b *source) *Result {
	t.Helper()
	return Sides(read(t, a), read(t, b))
}

func TestSides(t *testing.T) {
	for _, tt := range []struct {
		name string
		a, b func(*source)
		want []string // of each thread: its name, the equal events, and what comes then
	}{
		{"the same", func(s *source) { s.call(1, "read", "/a", 3) }, func(s *source) { s.call(1, "read", "/a", 3) }, []string{"MainThread 1 - -"}},
		{"locks and memory are no difference",
			func(s *source) { s.call(1, "futex", "", 1); s.call(1, "read", "/a", 3) },
			func(s *source) { s.call(1, "read", "/a", 3); s.call(1, "mmap", "", 9) }, []string{"MainThread 1 - -"}},
		{"temporary files, numbers",
			func(s *source) { s.call(1, "openat", "/tmp/tmpab12cd_9/x-17", 3) },
			func(s *source) { s.call(1, "openat", "/tmp/tmpzz99zz00/x-4", 3) }, []string{"MainThread 1 - -"}},
		{"another file", func(s *source) { s.call(1, "openat", "/a", 3) }, func(s *source) { s.call(1, "openat", "/b", 3) },
			[]string{"MainThread 0 openat(\"/a\") openat(\"/b\")"}},
		{"it failed", func(s *source) { s.call(1, "openat", "/a", 3) }, func(s *source) { s.call(1, "openat", "/a", 3).Errno = "ENOENT" },
			[]string{"MainThread 0 openat(\"/a\") openat(\"/a\") ENOENT"}},
		{"from another line", func(s *source) { s.call(1, "openat", "/a", 3) }, func(s *source) { s.call(1, "openat", "/a", 4) },
			[]string{"MainThread 0 openat(\"/a\") openat(\"/a\")"}},
		{"from a line that moved",
			func(s *source) { s.call(1, "openat", "/a", 3); s.texts["/proj/app.py:3"] = "open(a)" },
			func(s *source) { s.call(1, "openat", "/a", 4); s.texts["/proj/app.py:4"] = "  open(a)" }, []string{"MainThread 1 - -"}},
		{"one goes on",
			func(s *source) { s.call(1, "openat", "/a", 3) },
			func(s *source) { s.call(1, "openat", "/a", 3); s.call(1, "openat", "/b", 4) }, []string{"MainThread 1 - openat(\"/b\")"}},
		{"the earlier difference comes first",
			func(s *source) {
				s.call(1, "a", "", 1)
				s.call(2, "x", "", 1)
				s.call(1, "b", "", 2)
				s.call(2, "y", "", 2)
			},
			func(s *source) {
				s.call(1, "a", "", 1)
				s.call(2, "x", "", 1)
				s.call(2, "z", "", 2)
				s.call(1, "c", "", 2)
			},
			[]string{"MainThread 1 b() c()", "worker 1 y() z()"}},
		{"a thread of one only",
			func(s *source) { s.call(1, "a", "", 1) },
			func(s *source) { s.call(1, "a", "", 1); s.call(2, "x", "", 1) }, []string{"worker 0 - x()", "MainThread 1 - -"}},
		{"a port that the kernel chose, and one that it did not",
			func(s *source) {
				s.call(1, "connect", "", 1).Addr = "1.2.3.4:40000"
				s.call(1, "connect", "", 1).Addr = "1.2.3.4:80"
			},
			func(s *source) {
				s.call(1, "connect", "", 1).Addr = "1.2.3.4:50000"
				s.call(1, "connect", "", 1).Addr = "1.2.3.4:81"
			},
			[]string{"MainThread 1 connect(1.2.3.4:80) connect(1.2.3.4:81)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := &source{}, &source{}
			tt.a(a)
			tt.b(b)
			r := sides(t, a, b)
			var got []string
			for _, th := range r.Threads {
				text := func(s *Side, i int) string {
					if i < 0 {
						return "-"
					}
					return s.Event(i).Text()
				}
				got = append(got, fmt.Sprintf("%s %d %s %s", th.Name, th.Equal, text(r.A, th.A), text(r.B, th.B)))
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

// TestResults holds that calls that told the program something else are named.
func TestResults(t *testing.T) {
	a, b := &source{}, &source{}
	for i, s := range []*source{a, b} {
		s.call(1, "read", "/same", 1).Ret = 5
		s.call(1, "read", "/less", 2).Ret = int64(5 + i)
		s.call(1, "getpid", "", 3).Ret = int64(100 + i)
		e := s.call(1, "recvfrom", "", 4)
		e.Args = []assert.Arg{{Name: "buf", Text: []string{`"yes at 12:01"`, `"no at 12:02"`}[i]}}
		e = s.call(1, "recvfrom", "", 5)
		e.Args = []assert.Arg{{Name: "buf", Text: []string{`"at 12:01"`, `"at 12:02"`}[i]}}
	}
	r := sides(t, a, b)
	if !r.Same() || r.Threads[0].Others != 2 {
		t.Fatalf("%+v", r.Threads)
	}
	if d := cmp.Diff([][2]int{{1, 1}, {3, 3}}, r.Threads[0].Results); d != "" {
		t.Error(d)
	}
}

// TestContents holds that numbers in a file that somebody made tell, and that those in
// other files do not; and that what a program writes is not a result.
func TestContents(t *testing.T) {
	for _, tt := range []struct {
		file string
		want int
	}{{"conf.txt", 1}, {"/etc/app/limits", 1}, {"/proc/self/stat", 0}, {"/tmp/tmpabcdefgh/x", 0}, {"/a/__pycache__/m.cpython-311.pyc", 0}} {
		a, b := &source{}, &source{}
		for i, s := range []*source{a, b} {
			s.call(1, "openat", tt.file, 1).FD = 3
			e := s.call(1, "read", "", 2)
			e.FD, e.Ret, e.Args = 3, 2, []assert.Arg{{Name: "buf", Text: []string{`"1\\n"`, `"2\\n"`}[i]}}
			e = s.call(1, "write", "", 3)
			e.FD, e.Ret = 1, int64(5+i)
			e.Args = []assert.Arg{{Name: "buf", Text: []string{`"12345"`, `"123456"`}[i]}, {Name: "count", Text: []string{"5", "6"}[i]}}
			s.call(1, "close", "", 4).FD = 3
			e = s.call(1, "read", "", 5) // of another file by now
			e.FD, e.Ret, e.Args = 3, 2, []assert.Arg{{Name: "buf", Text: []string{`"1\\n"`, `"2\\n"`}[i]}}
		}
		s := sides(t, a, b)
		if got := s.Threads[0].Others; got != tt.want {
			t.Errorf("%s: %d results differ, want %d", tt.file, got, tt.want)
		}
	}
}
