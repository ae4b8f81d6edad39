// Package compare finds where two recordings of a program part: of each
// thread the first event that one has and the other has not, or that came
// from another place in the Python code.
//
// Two runs of a program are never the same to the byte. Addresses, process
// ids, ephemeral ports, the names of temporary files, times, and the calls
// that depend on how threads happened to be scheduled (locks, memory, clocks)
// are no difference here.
//
// It reads neither files nor memory, only what a source gives. Begin with Read, then
// Sides.
package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"pyrr/assert"
	"pyrr/internal/stack"
)

// Side is one of the two recordings: its events and their stacks.
type Side struct {
	Source assert.Source
	// World is where the program ran, nil where that does not matter.
	World  *World
	info   assert.Info
	events []assert.Event
	stacks map[int]assert.Stacks
	lines  map[string]string // FILE:LINE to its text
	files  map[int]string    // of reads of files, with which path they were opened
	added  map[int]bool      // events that the recorder has added
	plugin bool              // it has come into sys.path
	// From and To are the times within which events are compared; To is 0 for all.
	from, to time.Duration
}

// Thread is what became of a thread that both recordings have, or only one.
type Thread struct {
	Proc, Num int    // of A, or of B where A does not have it
	Name      string // "" for none
	OnlyA     bool   // B has no such thread
	OnlyB     bool
	// Equal counts the events up to the first difference; A and B are the
	// indexes of the events that differ, -1 where the thread has no more, and
	// MoreA and MoreB count the events from there on.
	Equal        int
	A, B         int
	MoreA, MoreB int
	// Before are the indexes in A and B of the last equal events.
	Before [][2]int
	// Results are the calls before the difference that returned something
	// else, the first few, and Others counts all of them.
	Results [][2]int
	Others  int
	// Pairs are all equal events, as indexes in A and B. Skipped counts the events
	// of both that were passed over since the threads came together again.
	Pairs   [][2]int
	Skipped int
}

// Differs reports whether the thread's events differ.
func (t *Thread) Differs() bool { return t.A >= 0 || t.B >= 0 || t.OnlyA || t.OnlyB }

// Result is the comparison of two recordings.
type Result struct {
	A, B *Side
	// Threads are in the order of their differences: the earliest first, those
	// without one last.
	Threads []Thread
}

// Same reports whether no thread differs.
func (r *Result) Same() bool {
	return !slices.ContainsFunc(r.Threads, func(t Thread) bool { return t.Differs() })
}

// Limits of what a Thread lists.
const (
	maxBefore  = 3
	maxResults = 5
)

// Sides compares two recordings.
func Sides(a, b *Side) *Result {
	r := &Result{A: a, B: b}
	leaveOutAdded(a, b)
	for _, p := range pair(a.threads(), b.threads()) {
		r.Threads = append(r.Threads, r.thread(p[0], p[1]))
	}
	slices.SortStableFunc(r.Threads, func(x, y Thread) int { return cmp.Compare(r.when(&x), r.when(&y)) })
	return r
}

// Read takes the events that are compared, and their stacks.
func Read(src assert.Source) (*Side, error) { return ReadLast(src, math.MaxInt) }

// ReadLast is Read that has the stacks of the last most events of InTime alone.
func ReadLast(src assert.Source, most int) (*Side, error) {
	s := &Side{Source: src, info: src.Info(), lines: map[string]string{}}
	var err error
	if s.events, err = src.Events(); err != nil {
		return nil, err
	}
	s.files = filesRead(s.events)
	want := s.InTime()
	want = want[max(0, len(want)-most):]
	slices.Sort(want)
	s.stacks, err = src.Stacks(want, false)
	s.added, s.plugin = recorders(s.events, s.stacks)
	return s, err
}

// Event returns an event by its index.
func (s *Side) Event(i int) *assert.Event { return &s.events[i] }

// Stack returns the Python stack at an event, innermost first, with the text
// of its lines where the recording has it.
func (s *Side) Stack(i int) stack.Stack {
	paths := stack.Paths{Root: s.info.Root}
	return paths.Normal(s.stacks[i].Python, func(file string, line int) (string, bool) { return s.Source.SourceText(file, line) })
}

// Place returns the innermost Python frame at an event that is outside of the
// standard library, or the innermost one; its file as people name it.
func (s *Side) Place(i int) (stack.Frame, bool) {
	paths := stack.Paths{Root: s.info.Root}
	var inner stack.Frame
	found := false
	for _, f := range s.stacks[i].Python.Frames {
		if f.Kind != stack.Python {
			continue
		}
		file, origin := paths.Short(f.File)
		f.File = file
		if origin != stack.Stdlib {
			return f, true
		}
		if !found {
			inner, found = f, true
		}
	}
	return inner, found
}

// InTime lists the events that are compared, of all threads, in the order in
// which they began.
func (s *Side) InTime() []int {
	var all []int
	for i := range s.events {
		if s.compares(&s.events[i]) {
			all = append(all, i)
		}
	}
	slices.SortStableFunc(all, func(i, k int) int { return cmp.Compare(s.events[i].Start, s.events[k].Start) })
	return all
}

// chatter are the calls that depend on how threads were scheduled, on where
// memory lies and on how a C library keeps it, or that only read a clock. One
// that never returned is where a thread hung, and counts.
var chatter = map[string]bool{
	"futex": true, "sched_yield": true, "set_robust_list": true, "rseq": true, "get_robust_list": true, "membarrier": true,
	"brk": true, "mmap": true, "munmap": true, "mprotect": true, "madvise": true, "mremap": true,
	"clock_gettime": true, "gettimeofday": true, "time": true, "clock_getres": true, "getrusage": true, "times": true,
	"restart_syscall": true,
}

func relevant(e *assert.Event) bool {
	return !e.Executed() && !(e.Kind == assert.KindSyscall && chatter[e.Name] && !e.Unfinished)
}

// Tests are the tests that a recording says the beginnings and ends of.
func (s *Side) Tests() []string {
	if !s.info.TestMarks {
		return nil
	}
	return s.info.Tests
}

// Within restricts the comparison to one test.
func (s *Side) Within(test string) {
	s.from, s.to = 0, s.info.Wall+1
	for i := range s.events {
		switch e := &s.events[i]; {
		case e.Name != test:
		case e.Kind == assert.KindTestStart:
			s.from = e.Start
		case e.Kind == assert.KindTestEnd && e.Start >= s.from:
			s.to = e.Start
		}
	}
}

// compares reports whether an event is compared: not the end of the test itself and
// what comes behind, which is the runner's.
func (s *Side) compares(e *assert.Event) bool {
	return relevant(e) && (s.to == 0 || e.Start >= s.from && e.Start < s.to)
}

// thread is one thread's events.
type thread struct {
	proc, num int
	name      string
	events    []int
}

// threads lists the threads in the order of their first events.
func (s *Side) threads() []*thread {
	type key struct{ proc, num int }
	known := map[key]*thread{}
	var out []*thread
	for i := range s.events {
		e := &s.events[i]
		if !s.compares(e) || s.added[i] || asksStandard(e) && len(s.stacks[i].Python.Frames) == 0 {
			continue
		}
		k := key{e.Proc, e.Thread}
		if e.Thread == 0 { // the end of the process, after its last thread
			k.num = 1
		}
		t := known[k]
		if t == nil {
			t = &thread{proc: k.proc, num: k.num}
			known[k] = t
			out = append(out, t)
		}
		if e.ThreadName != "" {
			t.name = e.ThreadName
		}
		t.events = append(t.events, i)
	}
	for _, t := range out {
		slices.SortStableFunc(t.events, func(a, b int) int { return cmp.Compare(s.events[a].Pos.Event, s.events[b].Pos.Event) })
	}
	return out
}

// pair matches threads: by process and name where that is one thread on both
// sides, by process and number else. What is left has no partner.
func pair(a, b []*thread) [][2]*thread {
	count := map[string][2]int{}
	name := func(t *thread) string { return fmt.Sprintf("%d %s", t.proc, t.name) }
	number := func(t *thread) string { return fmt.Sprintf("%d %d", t.proc, t.num) }
	for side, list := range [][]*thread{a, b} {
		for _, t := range list {
			c := count[name(t)]
			c[side]++
			count[name(t)] = c
		}
	}
	taken := map[*thread]bool{}
	var out [][2]*thread
	match := func(key func(*thread) string, fits func(*thread) bool) {
		at := map[string]*thread{}
		for _, t := range b {
			if !taken[t] && fits(t) {
				at[key(t)] = t
			}
		}
		for _, t := range a {
			if o := at[key(t)]; !taken[t] && fits(t) && o != nil && !taken[o] {
				taken[t], taken[o] = true, true
				out = append(out, [2]*thread{t, o})
			}
		}
	}
	match(name, func(t *thread) bool { return t.name != "" && count[name(t)] == [2]int{1, 1} })
	match(number, func(*thread) bool { return true })
	for _, t := range a {
		if !taken[t] {
			out = append(out, [2]*thread{t, nil})
		}
	}
	for _, t := range b {
		if !taken[t] {
			out = append(out, [2]*thread{nil, t})
		}
	}
	return out
}

// thread compares two threads.
func (r *Result) thread(a, b *thread) Thread {
	switch {
	case b == nil:
		return Thread{Proc: a.proc, Num: a.num, Name: a.name, OnlyA: true, A: a.events[0], B: -1, MoreA: len(a.events)}
	case a == nil:
		return Thread{Proc: b.proc, Num: b.num, Name: b.name, OnlyB: true, A: -1, B: b.events[0], MoreB: len(b.events)}
	}
	out := Thread{Proc: a.proc, Num: a.num, Name: a.name, A: -1, B: -1}
	x, y := r.align(&out, a.events, b.events)
	for _, p := range out.Pairs {
		if r.otherResult(p[0], p[1]) {
			if out.Others++; len(out.Results) < maxResults {
				out.Results = append(out.Results, p)
			}
		}
	}
	out.Equal = len(out.Pairs)
	out.Before = append(out.Before, out.Pairs[max(0, out.Equal-maxBefore):]...)
	if x < len(a.events) {
		out.A, out.MoreA = a.events[x], len(a.events)-x
	}
	if y < len(b.events) {
		out.B, out.MoreB = b.events[y], len(b.events)-y
	}
	return out
}

// How threads come together again behind a difference: within so many events of
// each, with so many equal ones in a row (or all the rest).
const (
	reach   = 60
	inARow  = 12
	maxGaps = 1000
)

// align pairs the equal events of two threads and returns where they part for good.
// A call more or less from which both go on alike, as caches and retries make, is
// passed over; threads that part at their very ends part there.
func (r *Result) align(t *Thread, a, b []int) (x, y int) {
	together := func(i, j int) bool {
		n := min(inARow, len(a)-i, len(b)-j)
		if n < inARow && len(a)-i != len(b)-j {
			return false // the rest of one is the beginning of the other's
		}
		for k := range n {
			if !r.same(a[i+k], b[j+k]) {
				return false
			}
		}
		return n > 0
	}
	type mark struct{ x, y, pairs int }
	first := mark{-1, -1, 0}
	for gaps := 0; ; gaps++ {
		for x < len(a) && y < len(b) && r.same(a[x], b[y]) {
			t.Pairs = append(t.Pairs, [2]int{a[x], b[y]})
			x, y = x+1, y+1
		}
		if x == len(a) && y == len(b) {
			if first.x >= 0 { // all that differs are such calls: then they do
				t.Pairs, t.Skipped = t.Pairs[:first.pairs], 0
				return first.x, first.y
			}
			return x, y
		}
		if first.x < 0 {
			first = mark{x, y, len(t.Pairs)}
		}
		found := false
	search:
		for d := 1; d <= reach && gaps < maxGaps; d++ {
			for i := 0; i <= d; i++ {
				if x+i < len(a) && y+d-i < len(b) && together(x+i, y+d-i) {
					x, y, found = x+i, y+d-i, true
					t.Skipped += d
					break search
				}
			}
		}
		if !found {
			return x, y
		}
	}
}

// same holds two events against each other, and then their stacks.
func (r *Result) same(i, j int) bool {
	return key(r.A.Event(i)) == key(r.B.Event(j)) && r.sameStack(i, j)
}

// sameStack holds the stacks at two events against each other.
func (r *Result) sameStack(i, j int) bool {
	x, y := r.A.stacks[i].Python.Frames, r.B.stacks[j].Python.Frames
	if len(x) == 0 || len(y) == 0 {
		return true // one that could not be read is not a difference
	}
	return slices.EqualFunc(x, y, func(f, g stack.Frame) bool {
		return f.Kind != stack.Python || g.Kind != stack.Python || r.sameFrame(&f, &g)
	})
}

// sameFrame reports whether two frames stand at the same place of a function;
// where both recordings hold its source the text decides, since the file may
// have been edited between the runs.
func (r *Result) sameFrame(f, g *stack.Frame) bool {
	if f.Func != g.Func {
		return false
	}
	a, _ := stack.Paths{Root: r.A.info.Root}.Short(f.File)
	b, _ := stack.Paths{Root: r.B.info.Root}.Short(g.File)
	if a != b {
		return false
	}
	if f.Line == g.Line {
		return true
	}
	s, t := r.A.line(f), r.B.line(g)
	return s != "" && s == t
}

// line is the text of a frame's line, "" where the recording does not have it.
func (s *Side) line(f *stack.Frame) string {
	k := fmt.Sprintf("%s:%d", f.File, f.Line)
	text, ok := s.lines[k]
	if !ok {
		text, _ = s.Source.SourceText(f.File, f.Line)
		text = strings.TrimSpace(text)
		s.lines[k] = text
	}
	return text
}

// when orders threads by where they differ, in the time of A: its event there,
// or else the last one before.
func (r *Result) when(t *Thread) time.Duration {
	switch {
	case !t.Differs():
		return math.MaxInt64
	case t.A >= 0:
		return r.A.Event(t.A).Start
	case len(t.Before) > 0:
		return r.A.Event(t.Before[len(t.Before)-1][0]).End
	}
	return r.B.Event(t.B).Start
}
