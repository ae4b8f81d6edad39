package compare

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pyrr/assert"
	"pyrr/internal/stack"
)

// Kinds of causes.
const (
	CauseResult      = "result"      // a call returned something else
	CauseTime        = "time"        // a call took much longer, or ran out of time
	CauseSchedule    = "schedule"    // another thread had come farther, or less far
	CauseEnvironment = "environment" // the command, variables, the interpreter, a file
)

// Cause is what one run got and the other did not, before they parted.
type Cause struct {
	Kind string `json:"kind"`
	// Thread is the number of the thread among the result's, -1 for none; A and B
	// are events of it, -1 for none.
	Thread int `json:"-"`
	A, B   int `json:"-"`
	// What says what it is about: the call with its place, the name of a variable.
	What string `json:"what"`
	// First and Second are what each run got.
	First  string `json:"first"`
	Second string `json:"second"`
}

// World is what a recording says of where its program ran.
type World struct {
	Command []string
	Env     []string
	Python  string
}

// Bounds of what Causes lists of a kind, and what counts as much longer.
const (
	maxCauses = 3
	longer    = 100 * time.Millisecond
	muchTimes = 5
)

// Parting is the number of the thread at which two runs part: the first that
// both have and that differs; -1 for none.
func (r *Result) Parting() int {
	for i := range r.Threads {
		if t := &r.Threads[i]; t.Differs() && !t.OnlyA && !t.OnlyB {
			return i
		}
	}
	return slices.IndexFunc(r.Threads, func(t Thread) bool { return t.Differs() })
}

// Causes says what the second run got that the first did not before they parted,
// what is nearest to that first. Threads are aligned by their equal events.
func (r *Result) Causes() []Cause {
	n := r.Parting()
	if n < 0 {
		return nil
	}
	var out []Cause
	out = append(out, r.atParting(n)...)
	out = append(out, r.results(n)...)
	out = append(out, r.times(n)...)
	out = append(out, r.world()...)
	// What came from outside explains a parting better than the order of threads.
	if !slices.ContainsFunc(out, func(c Cause) bool { return c.Thread == n && c.Kind == CauseResult }) {
		out = append(out, r.schedule(n)...)
	}
	return out
}

// atParting is the parting itself where it is one call with two results.
func (r *Result) atParting(n int) []Cause {
	t := &r.Threads[n]
	if t.A < 0 || t.B < 0 {
		return nil
	}
	a, b := r.A.Event(t.A), r.B.Event(t.B)
	if a.Kind != b.Kind || a.Name != b.Name || a.Unfinished || b.Unfinished || a.Errno == b.Errno && a.Ret == b.Ret || !r.sameStack(t.A, t.B) {
		return nil
	}
	return []Cause{r.resultCause(n, t.A, t.B)}
}

func (r *Result) resultCause(n, i, j int) Cause {
	a, b := r.A.Event(i), r.B.Event(j)
	c := Cause{Kind: CauseResult, Thread: n, A: i, B: j, What: r.callAt(i), First: got(a), Second: got(b)}
	if x, y, differ := texts(a, b); differ && (c.First == c.Second || r.A.files[i] != "") {
		c.First, c.Second = x, y
	} else if c.First == c.Second {
		c.First, c.Second = "some data", "other data"
	}
	switch {
	case ranOut(a) != ranOut(b):
		c.Kind = CauseTime
	case r.A.files[i] != "":
		c.Kind = CauseEnvironment // what was on the disk
		c.What = strings.Replace(c.What, a.Name, a.Name+" of "+r.A.files[i], 1)
	case strings.HasPrefix(a.Path, "/") && (strings.HasPrefix(a.Name, "read") || strings.HasPrefix(a.Name, "open") || strings.HasPrefix(a.Name, "pread")):
		c.Kind = CauseEnvironment
	}
	return c
}

// callAt names a call of the first run with its place in the program.
func (r *Result) callAt(i int) string {
	text := r.A.Event(i).Text()
	if name, _, ok := strings.Cut(text, "("); ok && r.A.Event(i).Path == "" && r.A.Event(i).Addr == "" {
		text = name // its number of bytes is what differs
	}
	if f, ok := r.A.Place(i); ok {
		text += fmt.Sprintf(" at %s:%d in %s", f.File, f.Line, f.Func)
	}
	return text
}

// got is what a call gave.
func got(e *assert.Event) string {
	switch {
	case e.Unfinished:
		return "nothing: it did not return"
	case e.Errno != "":
		return e.Errno
	case ranOut(e):
		return "nothing within its time-out"
	case strings.HasPrefix(e.Name, "read") || strings.HasPrefix(e.Name, "recv") || strings.HasPrefix(e.Name, "pread"):
		if e.Ret == 0 {
			return "the end"
		}
		return fmt.Sprintf("%d bytes", e.Ret)
	}
	return fmt.Sprint(e.Ret)
}

// importing reports whether an event is of the import of a module: files of
// compiled code are read or made there, and folders listed.
func (s *Side) importing(i int) bool {
	return slices.ContainsFunc(s.stacks[i].Python.Frames, func(f stack.Frame) bool {
		return strings.HasPrefix(f.File, "<frozen importlib") || strings.HasSuffix(f.File, "/importlib/_bootstrap_external.py")
	})
}

// ranOut reports whether a call ended since its time was over.
func ranOut(e *assert.Event) bool {
	switch e.Name {
	case "poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait", "epoll_pwait2":
		return e.Ret == 0 && !e.Unfinished && e.End > e.Start
	}
	return e.Errno == "ETIMEDOUT"
}

// texts are the first data that differ of two calls, as far as the events show it.
func texts(a, b *assert.Event) (first, second string, differ bool) {
	for i := range a.Args {
		if i < len(b.Args) && strings.HasPrefix(a.Args[i].Text, `"`) && a.Args[i].Text != b.Args[i].Text {
			return cut(a.Args[i].Text), cut(b.Args[i].Text), true
		}
	}
	return "", "", false
}

func cut(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:59]) + "…"
	}
	return s
}

// results are the calls that returned something else before the parting: of the
// thread that parts the last ones, then those of others, which may be what followed.
func (r *Result) results(n int) []Cause {
	var out []Cause
	add := func(k, most int) {
		t := &r.Threads[k]
		for m := len(t.Pairs) - 1; m >= 0 && len(out) < most; m-- {
			i, j := t.Pairs[m][0], t.Pairs[m][1]
			if r.otherResult(i, j) && !r.A.importing(i) && r.A.Event(i).Name != "getdents64" {
				out = append(out, r.resultCause(k, i, j))
			}
		}
	}
	add(n, maxCauses)
	for k := range r.Threads {
		if k != n {
			add(k, 2*maxCauses)
		}
	}
	return out
}

// times are the calls that took much longer in one of the runs.
func (r *Result) times(n int) []Cause {
	var out []Cause
	t := &r.Threads[n]
	for m := len(t.Pairs) - 1; m >= 0 && len(out) < maxCauses; m-- {
		a, b := r.A.Event(t.Pairs[m][0]), r.B.Event(t.Pairs[m][1])
		x, y := max(0, a.End-a.Start), max(0, b.End-b.Start)
		if a.Kind != assert.KindSyscall || a.Unfinished || b.Unfinished || max(x, y) < longer || max(x, y) < muchTimes*min(x, y) {
			continue
		}
		out = append(out, Cause{Kind: CauseTime, Thread: n, A: t.Pairs[m][0], B: t.Pairs[m][1], What: r.callAt(t.Pairs[m][0]),
			First: "took " + lasting(x), Second: "took " + lasting(y)})
	}
	return out
}

func lasting(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// schedule says of the other threads how far each had come when the one that parts
// came to its last equal event.
func (r *Result) schedule(n int) []Cause {
	t := &r.Threads[n]
	if len(t.Pairs) == 0 {
		return nil
	}
	last := t.Pairs[len(t.Pairs)-1]
	var out []Cause
	most := 0
	for k := range r.Threads {
		o := &r.Threads[k]
		if k == n || o.Proc != t.Proc || len(o.Pairs) == 0 {
			continue
		}
		a := come(r.A, o.Pairs, 0, last[0])
		b := come(r.B, o.Pairs, 1, last[1])
		d := max(a-b, b-a)
		if d == 0 || d <= most {
			continue
		}
		most = d
		out = []Cause{{Kind: CauseSchedule, Thread: k, A: last[0], B: last[1],
			What:  fmt.Sprintf("when %s came to %s, %s had come", title(t), r.callAt(last[0]), title(o)),
			First: r.to(o, a), Second: r.to(o, b)}}
	}
	return out
}

// come counts the equal events of a thread that were made before an event.
func come(s *Side, pairs [][2]int, side, event int) int {
	at := s.Event(event).Pos.Event
	n := 0
	for n < len(pairs) && s.Event(pairs[n][side]).Pos.Event < at {
		n++
	}
	return n
}

// to says how far a thread had come after n equal events.
func (r *Result) to(t *Thread, n int) string {
	if n == 0 {
		return "nowhere yet"
	}
	return "to " + r.callAt(t.Pairs[n-1][0])
}

func title(t *Thread) string {
	if t.Name != "" {
		return t.Name
	}
	return fmt.Sprintf("thread %d/%d", t.Proc, t.Num)
}

// passing are variables that differ between any two runs, or say who runs it.
var passing = []string{"_", "PWD", "OLDPWD", "SHLVL", "COLUMNS", "LINES", "TERM", "HOSTNAME", "WINDOWID", "PYTEST_CURRENT_TEST", "TMPDIR", "INVOCATION_ID",
	"JOURNAL_STREAM", "STY", "TMUX", "TMUX_PANE"}

var passingPrefixes = []string{"PYRR", "GITHUB_", "RUNNER_", "ACTIONS_", "SSH_", "XDG_", "DBUS_", "PYTEST_XDIST", "CI_", "BUILDKITE_", "LC_TERM"}

// secret tells a variable of which the value is not to be shown.
func secret(name string) bool {
	for _, w := range []string{"TOKEN", "SECRET", "PASS", "KEY", "CREDENTIAL", "AUTH", "COOKIE"} {
		if strings.Contains(strings.ToUpper(name), w) {
			return true
		}
	}
	return false
}

// world are the differences of where the two programs ran.
func (r *Result) world() []Cause {
	var out []Cause
	add := func(what, a, b string) {
		if a != b {
			out = append(out, Cause{Kind: CauseEnvironment, Thread: -1, A: -1, B: -1, What: what, First: cut(a), Second: cut(b)})
		}
	}
	a, b := r.A.World, r.B.World
	if a == nil || b == nil {
		return nil
	}
	add("the command", strings.Join(a.Command, " "), strings.Join(b.Command, " "))
	if a.Python != "" && b.Python != "" {
		add("the version of Python", a.Python, b.Python)
	}
	vars := func(env []string) map[string]string {
		m := map[string]string{}
		for _, v := range env {
			name, value, _ := strings.Cut(v, "=")
			if !slices.Contains(passing, name) && !slices.ContainsFunc(passingPrefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
				m[name] = value
			}
		}
		return m
	}
	x, y := vars(a.Env), vars(b.Env)
	var names []string
	for name := range x {
		names = append(names, name)
	}
	for name := range y {
		if _, ok := x[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	const most = 5
	for _, name := range names {
		u, inX := x[name]
		v, inY := y[name]
		switch {
		case len(out) >= most:
			return out
		case u == v && inX == inY || path(u) == path(v) && inX == inY:
		case secret(name):
			add("the variable "+name, "(a value)", "(another value)")
		default:
			add("the variable "+name, shown(u, inX), shown(v, inY))
		}
	}
	return out
}

func shown(value string, set bool) string {
	if !set {
		return "not set"
	}
	return fmt.Sprintf("%q", value)
}
