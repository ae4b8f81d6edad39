package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"pyrr/assert"
	"pyrr/internal/compare"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

func diffCommand() *command {
	return &command{
		name:     "diff",
		synopsis: "[--all] [--json] RECORDING RECORDING",
		short:    "say where two recordings part, and why",
		long: `Compares two recordings, say of a run that passed and of one that hung. First it
says what the second run got that the first did not, before they parted: a result,
a time, a schedule, an environment; what followed, and how the second one ended.
Then, of each thread, the first event that is not the same in both, or was made
from another place in the Python code, with both stacks; the earliest of these
comes first. Of pytest's recordings the test that both hold is compared.

What differs between any two runs is no difference: addresses, process ids,
ports from 32768 on, names of temporary files, numbers in paths, times, and the
calls that depend on how threads were scheduled (locks, memory, clocks). Calls
that came earlier and returned something else are named beside it. Calls more or
less from which both runs go on alike are passed over. Threads are matched by
name, else by number.`,
		examples: []example{
			{"pyrr diff passed.pyrr.zip hung.pyrr.zip", ""},
			{"pyrr diff --all --json passed.pyrr.zip hung.pyrr.zip | jq '.threads[0]'", "for a script"},
		},
		exits: []exitDoc{
			{"0", "no thread differs"},
			{"1", "at least one does"},
			{"2", "usage error"},
			{"3", "a recording is missing or damaged, or its replay diverged"},
			{"4", "this machine can't replay one, and it has no index"},
		},
		operand: "recording",
		setup: func(fs *pflag.FlagSet) func(context.Context, *ui, []string) error {
			all := fs.Bool("all", false, "the stacks of every thread that differs, not of the first alone")
			asJSON := fs.Bool("json", false, "print JSON")
			return func(_ context.Context, u *ui, args []string) error {
				if len(args) != 2 {
					return withHint(usagef("diff: name two recordings, not %d", len(args)), "pyrr diff PASSED.pyrr.zip HUNG.pyrr.zip")
				}
				var recs [2]*recording.Recording
				for i, path := range args {
					rec, err := openRecording("diff", path)
					if err != nil {
						return err
					}
					defer rec.Close()
					recs[i] = rec
				}
				r, err := compared(u, recs, [2]string{args[0], args[1]})
				if err != nil {
					return err
				}
				if *asJSON {
					out := newDiffJSON(r)
					out.Causes, out.Followed = r.Causes(), r.Followed("the first run", "the second run")
					err = u.printJSON(out)
				} else {
					printDiff(u, r, args, *all, func() { printReasons(u, r, recs[1]) })
				}
				if err == nil && !r.Same() {
					err = exitStatusError(exitFailed)
				}
				return err
			}
		},
	}
}

// printDiff prints the comparison for people.
func printDiff(u *ui, r *compare.Result, paths []string, all bool, why func()) {
	if r.Same() {
		n := 0
		for _, t := range r.Threads {
			n += t.Equal
		}
		fmt.Fprintf(u.out, "the same: %s of %s\n", plural(uint64(n), "event", "events"), plural(uint64(len(r.Threads)), "thread", "threads"))
		for i := range r.Threads {
			printResults(u, r, &r.Threads[i])
		}
		return
	}
	fmt.Fprintf(u.out, "- %s\n+ %s\n", cleanLine(paths[0]), cleanLine(paths[1]))
	why()
	for i := range r.Threads {
		t := &r.Threads[i]
		if !t.Differs() || i > 0 && !all {
			continue
		}
		fmt.Fprintln(u.out)
		printThread(u, r, t)
	}
	if len(r.Threads) == 1 {
		return
	}
	fmt.Fprintln(u.out)
	rows := [][]string{{"thread", "equal", "only -", "only +"}}
	for _, t := range r.Threads {
		rows = append(rows, []string{threadTitle(&t), grouped(uint64(t.Equal)), grouped(uint64(t.MoreA)), grouped(uint64(t.MoreB))})
	}
	table(u.out, map[int]bool{1: true, 2: true, 3: true}, rows)
}

func threadTitle(t *compare.Thread) string {
	return cleanLine(strings.TrimSpace(fmt.Sprintf("%d/%d %s", t.Proc, t.Num, t.Name)))
}

// printThread prints where one thread's events part.
func printThread(u *ui, r *compare.Result, t *compare.Thread) {
	switch {
	case t.OnlyA, t.OnlyB:
		fmt.Fprintf(u.out, "%s\n\n", u.paintOut(bold, "thread "+threadTitle(t)+" is in one of them only"))
	default:
		fmt.Fprintf(u.out, "%s\n\n", u.paintOut(bold, "thread "+threadTitle(t)+" differs after "+plural(uint64(t.Equal), "equal event", "equal events")))
	}
	rows := [][]string{{"", "-", "+", "event", "nearest frame outside the standard library"}}
	row := func(mark string, i, j int) {
		cells := []string{mark, "", "", "", ""}
		s, n := r.A, i
		if i < 0 {
			s, n = r.B, j
		}
		if i >= 0 {
			cells[1] = grouped(r.A.Event(i).Pos.Instr)
		}
		if j >= 0 {
			cells[2] = grouped(r.B.Event(j).Pos.Instr)
		}
		cells[3] = cleanLine(s.Event(n).Text())
		if f, ok := s.Place(n); ok {
			cells[4] = cleanLine(fmt.Sprintf("%s:%d  %s", f.File, f.Line, f.Func))
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
	table(u.out, map[int]bool{1: true, 2: true}, rows)
	printResults(u, r, t)
	printStackDiff(u, r, t)
}

// printStackDiff prints the stacks at a difference, one as a change of the other.
func printStackDiff(u *ui, r *compare.Result, t *compare.Thread) {
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
	fmt.Fprintln(u.out)
	d := stack.Compare(stack.PatternOf("", a), b, false)
	for _, row := range d.Rows {
		switch row.Op {
		case stack.Gone:
			fmt.Fprintln(u.out, u.paintOut(red, "- "+frameLine(&a.Frames[row.Want])))
		case stack.Added:
			fmt.Fprintln(u.out, u.paintOut(green, "+ "+frameLine(&row.Frame)))
		default:
			fmt.Fprintln(u.out, "  "+frameLine(&row.Frame))
		}
	}
}

// printResults names the calls before a difference that returned something else.
func printResults(u *ui, r *compare.Result, t *compare.Thread) {
	if t.Others == 0 {
		return
	}
	fmt.Fprintf(u.out, "\n%s returned something else before, in thread %s:\n", plural(uint64(t.Others), "call", "calls"), threadTitle(t))
	for _, p := range t.Results {
		a, b := r.A.Event(p[0]), r.B.Event(p[1])
		fmt.Fprintf(u.out, "  %s  %s: %s\n", grouped(a.Pos.Instr), cleanLine(a.Name), cleanLine(twoResults(a, b)))
	}
	if t.Others > len(t.Results) {
		fmt.Fprintf(u.out, "  … %d more\n", t.Others-len(t.Results))
	}
}

// twoResults says what a call returned in each recording.
func twoResults(a, b *assert.Event) string {
	if a.Ret != b.Ret {
		return fmt.Sprintf("%d in the first, %d in the second", a.Ret, b.Ret)
	}
	for i := range a.Args {
		if i < len(b.Args) && strings.HasPrefix(a.Args[i].Text, `"`) && a.Args[i].Text != b.Args[i].Text {
			return shorten(a.Args[i].Text, 60) + " in the first, " + shorten(b.Args[i].Text, 60) + " in the second"
		}
	}
	return "other data"
}

// diffJSON is what --json prints.
type diffJSON struct {
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
	Instruction uint64      `json:"instruction"`
	Number      uint64      `json:"event"`
	Event       string      `json:"text"`
	Stack       []jsonFrame `json:"stack"`
}

func newDiffJSON(r *compare.Result) diffJSON {
	out := diffJSON{Same: r.Same(), Threads: []diffThread{}}
	event := func(s *compare.Side, i int) *diffEvent {
		if i < 0 {
			return nil
		}
		e := &diffEvent{Instruction: s.Event(i).Pos.Instr, Number: s.Event(i).Pos.Event, Event: s.Event(i).Text(), Stack: []jsonFrame{}}
		st := s.Stack(i)
		for k := range st.Frames {
			e.Stack = append(e.Stack, newJSONFrame(&st.Frames[k]))
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
