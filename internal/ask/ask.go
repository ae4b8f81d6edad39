// Package ask answers questions about a recording after the fact: what
// expressions were worth each time a place was passed, who set a value, when a
// text was written, where the time went.
//
// What the log and the index of stacks tell is taken from there; the rest takes
// one replay. It prints nothing: each answer is handed on as soon as it is known,
// with a position to go on from. Begin with Print (print.go).
package ask

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"pyrr/internal/logview"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

// Moment is where something happened.
type Moment struct {
	// Process is its number in the recording, PID what the program saw.
	Process, PID int
	// Pos is the instruction count and the number of the event that the thread
	// was on its way to, or stood at.
	Pos recording.Pos
	// Time is that of the last event before, in ns since the recording began.
	Time int64
	// TID is the thread, Thread its name in Python, "" for none.
	TID    int32
	Thread string
	// File, Line and Func are the place in Python, "" where it is in none.
	File string
	Line int
	Func string
}

// frame makes a frame the place of the moment.
func (m *Moment) frame(f *stack.Frame) { m.File, m.Line, m.Func = f.File, f.Line, f.Func }

// errEnough ends a replay when all has been found.
var errEnough = errors.New("all was found")

// asked is what the questions about a recording have in common: when its events
// were, what its threads are called, which span a test takes.
type asked struct {
	rec   *recording.Recording
	index *recording.StackIndex // nil for none
	procs map[int]recording.Process
	times map[int][]int64
}

func newAsked(rec *recording.Recording) (*asked, error) {
	a := &asked{rec: rec, procs: map[int]recording.Process{}, times: map[int][]int64{}}
	procs, err := rec.Procs()
	if err != nil {
		return nil, err
	}
	for _, p := range procs {
		a.procs[p.ID] = p
	}
	if x, err := rec.StackIndex(); err == nil {
		a.index = x // without it, a replay tells
	}
	return a, nil
}

// timesOf returns the times of a process's events, as far as they can be read.
func (a *asked) timesOf(proc int) []int64 {
	if ts, ok := a.times[proc]; ok {
		return ts
	}
	ts := []int64{}
	if it, err := a.rec.Events(proc); err == nil {
		it.Brief()
		var ev recording.Event
		for it.Next(&ev) == nil {
			ts = append(ts, ev.Time)
		}
		it.Close()
	}
	a.times[proc] = ts
	return ts
}

// timeBefore is when the last event before one was.
func (a *asked) timeBefore(proc int, event uint64) int64 {
	ts := a.timesOf(proc)
	if len(ts) == 0 || event == 0 {
		return 0
	}
	return ts[min(event, uint64(len(ts)))-1]
}

// name is that of a thread at an event, "" for none that the index knows.
func (a *asked) name(proc int, tid int32, event uint64) string {
	if a.index == nil {
		return ""
	}
	return a.index.Name(proc, tid, event)
}

// isThread says whether a word means a thread: its id, or its name or a part of it.
func isThread(word string, tid int32, name string) bool {
	if n, err := strconv.Atoi(word); err == nil {
		return int32(n) == tid
	}
	return name != "" && strings.Contains(name, word)
}

// span is the part of a recording that a test takes: events of its process, and
// a time for the others.
type span struct {
	proc     int
	from, to recording.Pos
	begin    int64
	end      int64
}

// testSpan finds a test by its id, or the end or a part of it.
func (a *asked) testSpan(id string) (*span, error) {
	s, err := logview.AtEnd(a.rec)
	if err != nil && len(s.Tests) == 0 {
		return nil, err
	}
	var found []logview.Test
	for _, t := range s.Tests {
		if t.ID == id || strings.HasSuffix(t.ID, "::"+id) {
			found = []logview.Test{t}
			break
		}
		if strings.Contains(t.ID, id) {
			found = append(found, t)
		}
	}
	switch {
	case len(s.Tests) == 0:
		return nil, fmt.Errorf("the recording tells of no tests, so there is no %q", id)
	case len(found) == 0:
		return nil, fmt.Errorf("the recording has no test %q; its %d begin with %s", id, len(s.Tests), s.Tests[0].ID)
	case len(found) > 1:
		return nil, fmt.Errorf("%q means %d tests, such as %s and %s", id, len(found), found[0].ID, found[1].ID)
	}
	t := found[0]
	out := &span{proc: t.Begin.Proc, from: t.Begin.Pos, begin: t.Begin.Time, to: recording.Pos{Instr: 1 << 62, Event: 1 << 62}, end: 1<<63 - 1}
	if t.End != nil {
		out.to, out.end = t.End.Pos, t.End.Time
	}
	return out, nil
}

// holds says whether a moment lies in the span; nil holds all.
func (s *span) holds(proc int, at recording.Pos, time int64) bool {
	switch {
	case s == nil:
		return true
	case proc != s.proc:
		return time >= s.begin && time < s.end
	}
	return at.Event >= s.from.Event && at.Event <= s.to.Event
}

// OwnFrame returns the innermost frame of the program's own Python, else the
// innermost of Python; false where there is none.
func OwnFrame(frames []stack.Frame) (*stack.Frame, bool) {
	var first *stack.Frame
	for i := range frames {
		f := &frames[i]
		if f.Kind != stack.Python {
			continue
		}
		if first == nil {
			first = f
		}
		if f.File != "" && f.File[0] != '<' && !stack.IsLibrary(f.File) {
			return f, true
		}
	}
	return first, first != nil
}
