// Package show prints recordings for people and programs: why they hung or failed, how
// two differ, their events.
//
// It looks for nothing itself. Begin with Explain.
package show

import (
	"fmt"
	"strings"

	"pyrr/assert"
	"pyrr/internal/compare"
	"pyrr/internal/printable"
	"pyrr/internal/reason"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/stack"
)

// PrintDiff prints the comparison for people.
func PrintDiff(u *screen.UI, r *compare.Result, paths []string, all bool, why func()) {
	if r.Same() {
		n := 0
		for _, t := range r.Threads {
			n += t.Equal
		}
		fmt.Fprintf(u.Out, "the same: %s of %s\n", printable.Plural(uint64(n), "event", "events"), printable.Plural(uint64(len(r.Threads)), "thread", "threads"))
		for i := range r.Threads {
			printResults(u, r, &r.Threads[i])
		}
		return
	}
	fmt.Fprintf(u.Out, "- %s\n+ %s\n", printable.Line(paths[0]), printable.Line(paths[1]))
	why()
	for i := range r.Threads {
		t := &r.Threads[i]
		if !t.Differs() || i > 0 && !all {
			continue
		}
		fmt.Fprintln(u.Out)
		printThread(u, r, t)
	}
	if len(r.Threads) == 1 {
		return
	}
	fmt.Fprintln(u.Out)
	rows := [][]string{{"thread", "equal", "only -", "only +"}}
	for _, t := range r.Threads {
		rows = append(rows, []string{threadTitle(&t), printable.Grouped(uint64(t.Equal)), printable.Grouped(uint64(t.MoreA)), printable.Grouped(uint64(t.MoreB))})
	}
	printable.Table(u.Out, map[int]bool{1: true, 2: true, 3: true}, rows)
}

func threadTitle(t *compare.Thread) string {
	return printable.Line(strings.TrimSpace(fmt.Sprintf("%d/%d %s", t.Proc, t.Num, t.Name)))
}

// printThread prints where one thread's events part.
func printThread(u *screen.UI, r *compare.Result, t *compare.Thread) {
	switch {
	case t.OnlyA, t.OnlyB:
		fmt.Fprintf(u.Out, "%s\n\n", u.Paint(screen.Bold, "thread "+threadTitle(t)+" is in one of them only"))
	default:
		fmt.Fprintf(u.Out, "%s\n\n", u.Paint(screen.Bold, "thread "+threadTitle(t)+" differs after "+printable.Plural(uint64(t.Equal), "equal event", "equal events")))
	}
	rows := [][]string{{"", "-", "+", "event", "nearest frame outside the standard library"}}
	row := func(mark string, i, j int) {
		cells := []string{mark, "", "", "", ""}
		s, n := r.A, i
		if i < 0 {
			s, n = r.B, j
		}
		if i >= 0 {
			cells[1] = printable.Grouped(r.A.Event(i).Pos.Instr)
		}
		if j >= 0 {
			cells[2] = printable.Grouped(r.B.Event(j).Pos.Instr)
		}
		cells[3] = printable.Line(s.Event(n).Text())
		if f, ok := s.Place(n); ok {
			cells[4] = printable.Line(fmt.Sprintf("%s:%d  %s", f.File, f.Line, f.Func))
		}
		rows = append(rows, cells)
	}
	for _, b := range t.Before {
		row("", b[0], b[1])
	}
	end := func(mark string) { rows = append(rows, []string{mark, "", "", "(the thread has no more events)", ""}) }
	if t.A >= 0 {
		row("-", t.A, -1)
	} else if !t.OnlyB {
		end("-")
	}
	if t.B >= 0 {
		row("+", -1, t.B)
	} else if !t.OnlyA {
		end("+")
	}
	printable.Table(u.Out, map[int]bool{1: true, 2: true}, rows)
	printResults(u, r, t)
	printStackDiff(u, r, t)
}

// printStackDiff prints the stacks at a difference, one as a change of the other.
func printStackDiff(u *screen.UI, r *compare.Result, t *compare.Thread) {
	var a, b stack.Stack
	if t.A >= 0 {
		a = r.A.Stack(t.A)
	}
	if t.B >= 0 {
		b = r.B.Stack(t.B)
	}
	if len(a.Frames)+len(b.Frames) == 0 {
		return
	}
	fmt.Fprintln(u.Out)
	d := stack.Compare(stack.PatternOf("", a), b, false)
	for _, row := range d.Rows {
		switch row.Op {
		case stack.Gone:
			fmt.Fprintln(u.Out, u.Paint(screen.Red, "- "+frameLine(&a.Frames[row.Want])))
		case stack.Added:
			fmt.Fprintln(u.Out, u.Paint(screen.Green, "+ "+frameLine(&row.Frame)))
		default:
			fmt.Fprintln(u.Out, "  "+frameLine(&row.Frame))
		}
	}
}

// printResults names the calls before a difference that returned something else.
func printResults(u *screen.UI, r *compare.Result, t *compare.Thread) {
	if t.Others == 0 {
		return
	}
	fmt.Fprintf(u.Out, "\n%s returned something else before, in thread %s:\n", printable.Plural(uint64(t.Others), "call", "calls"), threadTitle(t))
	for _, p := range t.Results {
		a, b := r.A.Event(p[0]), r.B.Event(p[1])
		fmt.Fprintf(u.Out, "  %s  %s: %s\n", printable.Grouped(a.Pos.Instr), printable.Line(a.Name), printable.Line(twoResults(a, b)))
	}
	if t.Others > len(t.Results) {
		fmt.Fprintf(u.Out, "  … %d more\n", t.Others-len(t.Results))
	}
}

// twoResults says what a call returned in each recording.
func twoResults(a, b *assert.Event) string {
	if a.Ret != b.Ret {
		return fmt.Sprintf("%d in the first, %d in the second", a.Ret, b.Ret)
	}
	for i := range a.Args {
		if i < len(b.Args) && strings.HasPrefix(a.Args[i].Text, `"`) && a.Args[i].Text != b.Args[i].Text {
			return printable.Shorten(a.Args[i].Text, 60) + " in the first, " + printable.Shorten(b.Args[i].Text, 60) + " in the second"
		}
	}
	return "other data"
}

// Diff is what --json prints.
type Diff struct {
	Same bool `json:"same"`
	// Causes are what the second run got and the first did not, before they parted.
	Causes   []compare.Cause `json:"causes,omitempty"`
	Followed string          `json:"followed,omitempty"`
	Threads  []diffThread    `json:"threads"`
}

type diffThread struct {
	Process int        `json:"process"`
	Thread  int        `json:"thread"`
	Name    string     `json:"name,omitempty"`
	Equal   int        `json:"equal"`
	MoreA   int        `json:"moreA"`
	MoreB   int        `json:"moreB"`
	A       *diffEvent `json:"a"`
	B       *diffEvent `json:"b"`
	Others  int        `json:"otherResults"`
}

type diffEvent struct {
	Instruction uint64  `json:"instruction"`
	Number      uint64  `json:"event"`
	Event       string  `json:"text"`
	Stack       []Frame `json:"stack"`
}

func NewDiff(r *compare.Result) Diff {
	out := Diff{Same: r.Same(), Threads: []diffThread{}}
	event := func(s *compare.Side, i int) *diffEvent {
		if i < 0 {
			return nil
		}
		e := &diffEvent{Instruction: s.Event(i).Pos.Instr, Number: s.Event(i).Pos.Event, Event: s.Event(i).Text(), Stack: []Frame{}}
		st := s.Stack(i)
		for k := range st.Frames {
			e.Stack = append(e.Stack, NewFrame(&st.Frames[k]))
		}
		return e
	}
	for i := range r.Threads {
		t := &r.Threads[i]
		out.Threads = append(out.Threads, diffThread{
			Process: t.Proc, Thread: t.Num, Name: t.Name, Equal: t.Equal, MoreA: t.MoreA, MoreB: t.MoreB,
			A: event(r.A, t.A), B: event(r.B, t.B), Others: t.Others,
		})
	}
	return out
}

// PrintReasons prints what the second run got that the first did not, what followed
// and how it ended.
func PrintReasons(u *screen.UI, r *compare.Result, second *recording.Recording) {
	printCauses(u, r, runNames{"the first run", "the second run", "first", "second"})
	why, err := reason.Of(second, false)
	if err == nil && why.Says() {
		fmt.Fprintf(u.Out, "At the end of the second run: %s\n", printable.Line(why.Why.Sentence))
	}
}

// runNames are how two runs are called, in sentences and in columns.
type runNames struct{ first, second, a, b string }

// printCauses prints what the second run got that the first did not, and what
// followed.
func printCauses(u *screen.UI, r *compare.Result, names runNames) {
	causes := r.Causes()
	fmt.Fprintln(u.Out)
	if len(causes) == 0 {
		fmt.Fprintln(u.Out, "Nothing that the runs got before they parted differs, as far as the recordings show it.")
	} else {
		fmt.Fprintln(u.Out, u.Paint(screen.Bold, "What "+names.second+" got that "+names.first+" did not:"))
	}
	for _, c := range causes {
		fmt.Fprintf(u.Out, "  %-11s  %s\n", c.Kind, printable.Line(c.What))
		fmt.Fprintf(u.Out, "  %-11s    %-6s  %s\n", sideAt(r.A, c.A), names.a, printable.Line(c.First))
		fmt.Fprintf(u.Out, "  %-11s    %-6s  %s\n", sideAt(r.B, c.B), names.b, printable.Line(c.Second))
	}
	if text := r.Followed(names.first, names.second); text != "" {
		fmt.Fprintf(u.Out, "What followed: %s.\n", printable.Line(text))
	}
}

// sideAt is the position of an event as replay --at takes it.
func sideAt(s *compare.Side, i int) string {
	if i < 0 {
		return ""
	}
	e := s.Event(i)
	if e.Proc > 1 {
		return fmt.Sprintf("e%d (%d)", e.Pos.Event, e.Proc)
	}
	return fmt.Sprintf("e%d", e.Pos.Event)
}
