package show

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"pyrr/internal/compare"
	"pyrr/internal/hang"
	"pyrr/internal/printable"
	"pyrr/internal/reason"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/stack"
)

// Explain prints the explanation, no wider than the screen.
func Explain(u *screen.UI, rec *recording.Recording, r *reason.Reason, full bool) {
	whole := u.Out
	out, flush := u.Fitted()
	u.Out = out
	explain(u, rec, r.Why, r.Ends, full, r.Unlike)
	if len(r.Death.Frames) > 0 {
		fmt.Fprintln(u.Out)
		explainDeath(u, rec, r.Death, full)
	}
	flush()
	u.Out = whole
}

// explain prints the explanation for people: the reason in a sentence, its
// evidence, then the stacks.
func explain(u *screen.UI, rec *recording.Recording, why *hang.Verdict, ends []reason.Ending, full bool, unlike *compare.Result) {
	said := why.Sentence
	if full {
		said = cmp.Or(why.Long, said)
	}
	fmt.Fprintln(u.Out, u.Paint(screen.Bold, printable.Line(said)))
	if since := reason.SinceWhen(why); since != "" {
		fmt.Fprintln(u.Out, since)
	}
	if why.Degree == hang.Likely && why.Missing != "" {
		fmt.Fprintf(u.Out, "Likely, not proven: the recording does not show %s.\n", printable.Line(why.Missing))
	}
	explainEvidence(u, rec, why)
	if unlike != nil {
		printCauses(u, unlike, runNames{"the one that passed", "this run", "passed", "this"})
	}
	if why.Raised != nil {
		explainRaised(u, rec, why.Raised, full)
		if !full {
			return
		}
	}
	many := len(ends) > 1
	shown := reason.ThreadsByVerdict(why, ends)
	for _, w := range shown {
		fmt.Fprintln(u.Out)
		explainThread(u, rec, w, many, full)
	}
	for i := range ends {
		explainTasks(u, rec, &ends[i], full)
	}
}

// explainEvidence prints what the sentence rests on, each with its position.
func explainEvidence(u *screen.UI, rec *recording.Recording, why *hang.Verdict) {
	const most = 8
	for i, e := range why.Evidence {
		if i == 0 {
			fmt.Fprintln(u.Out)
		}
		if i == most {
			fmt.Fprintf(u.Out, "  … %s\n", printable.Plural(uint64(len(why.Evidence)-most), "more line of evidence", "more lines of evidence"))
			break
		}
		at := ""
		if e.Event > 0 {
			at = fmt.Sprintf("e%d", e.Event)
			if e.Instr > 0 {
				at = printable.Grouped(e.Instr)
			}
			if e.Proc > 1 {
				at += fmt.Sprintf(" --process %d", e.Proc)
			}
		}
		fmt.Fprintf(u.Out, "  %-8s  %s\n", at, printable.Line(e.Text))
		if text := strings.TrimSpace(reason.SourceLine(rec, e.File, e.Line)); text != "" {
			fmt.Fprintf(u.Out, "  %-8s      %d  %s\n", "", e.Line, printable.Line(printable.Shorten(text, 120)))
		}
	}
}

// explainRaised prints an exception: its whole message, and the frames that it
// went through with their variables, as they were when it was raised where that is
// known, each with where it was changed last; else as they were when it left them.
func explainRaised(u *screen.UI, rec *recording.Recording, r *hang.Raised, full bool) {
	if text := strings.TrimSpace(r.Text); strings.Contains(text, "\n") {
		fmt.Fprintln(u.Out)
		fmt.Fprint(u.Out, printable.Indent(printable.Clean(printable.Shorten(text, 2000)), "  "))
	}
	paths := stack.Paths{Root: rec.Header().Cwd}
	folded := 0
	fmt.Fprintln(u.Out)
	var rows []screen.FrameRow
	for i := range r.Frames {
		f := &r.Frames[i]
		if !full && (hang.Machinery(f.File) || hang.Library(f.File) && i > 0) {
			folded++
			continue
		}
		short, _ := paths.Short(f.File)
		text := strings.TrimSpace(reason.SourceLine(rec, f.File, f.Line))
		row := screen.FrameRow{Name: printable.Line(f.Func), Place: printable.Line(fmt.Sprintf("%s:%d", short, f.Line)), Text: printable.Line(text)}
		for _, v := range f.Vars {
			row.Below = append(row.Below, fmt.Sprintf("%s = %s", printable.Line(v.Name), printable.Line(v.Value))+changed(&paths, &f.Frame, &v))
		}
		rows = append(rows, row)
	}
	fmt.Fprint(u.Out, printable.Indent(u.FrameLines(rows), "  "))
	if folded > 0 {
		fmt.Fprintf(u.Out, "  … %s, with --full\n", printable.Plural(uint64(folded), "more frame", "more frames"))
	}
}

// changed says where a variable of a frame got its value, and a container its last
// items, with positions for replay --at.
func changed(paths *stack.Paths, in *hang.Frame, v *hang.Var) string {
	at := func(verb string, c *hang.Change) string {
		file, _ := paths.Short(c.Where.File)
		place := fmt.Sprintf("%s:%d in %s", file, c.Where.Line, c.Where.Func)
		if c.Where.File == in.File && c.Where.Func == in.Func {
			place = fmt.Sprintf("line %d", c.Where.Line)
		} else if c.Where.File == in.File {
			place = fmt.Sprintf("line %d in %s", c.Where.Line, c.Where.Func)
		}
		if c.Thread != "" {
			place += " by " + c.Thread
		}
		return fmt.Sprintf("%s %s, at %s", verb, printable.Line(place), printable.Grouped(c.Instr))
	}
	var parts []string
	if v.Set != nil {
		verb := "set"
		if v.Set.Passed {
			verb = "passed"
		}
		parts = append(parts, at(verb, v.Set))
	}
	if v.Grown != nil {
		parts = append(parts, at("its length since", v.Grown))
	}
	if len(parts) == 0 {
		return ""
	}
	return "   (" + strings.Join(parts, "; ") + ")"
}

// explainThread prints a thread at the end and its stack.
func explainThread(u *screen.UI, rec *recording.Recording, w *reason.Waiting, many, full bool) {
	heading := fmt.Sprintf("thread %d", w.Num)
	if w.Name != "" {
		heading += " " + w.Name
	}
	if many {
		heading = fmt.Sprintf("process %d, pid %d, %s", w.Proc.ID, w.Proc.PID, heading)
	}
	fmt.Fprintf(u.Out, "%s %s\n", u.Paint(screen.Bold, printable.Line(heading)), reason.WaitsFor(w))
	if w.Call != "" {
		fmt.Fprintf(u.Out, "  in     %s\n", printable.Line(printable.Shorten(w.Call, 160)))
		since := printable.AtTime(w.Since) + ", for " + printable.Seconds(w.For)
		switch {
		case w.Attached:
			since = "before pyrr attached"
		case w.Early:
			since = "before the recording begins, for " + printable.Seconds(w.For)
		}
		fmt.Fprintf(u.Out, "  since  %s, instruction %s, event %s\n", since, printable.Grouped(w.Instr), printable.Grouped(w.Event))
	}
	explainStack(u, rec, w.Stack, full)
}

// explainStack prints a stack: the frames of the program's own code and the
// innermost one, unless all are wanted.
func explainStack(u *screen.UI, rec *recording.Recording, st stack.Stack, full bool) {
	if len(st.Frames) == 0 {
		return
	}
	if full {
		fmt.Fprint(u.Out, printable.Indent(stackRows(u, rec, st), "  "))
		return
	}
	own, folded := reason.FoldStack(st)
	if len(own.Frames) > 0 {
		fmt.Fprint(u.Out, printable.Indent(stackRows(u, rec, own), "  "))
	}
	if folded > 0 {
		fmt.Fprintf(u.Out, "  … %s, with --full\n", printable.Plural(uint64(folded), "more frame", "more frames"))
	}
}

// explainTasks prints the tasks and greenlets of a process.
func explainTasks(u *screen.UI, rec *recording.Recording, e *reason.Ending, full bool) {
	if e.Facts == nil {
		return
	}
	const most = 20
	n := 0
	for i := range e.Facts.Units {
		t := &e.Facts.Units[i]
		if t.Kind == hang.Thread {
			continue
		}
		if n++; n > most && !full {
			continue
		}
		state := "waits"
		if t.Running {
			state = "runs, or is ready to"
		}
		fmt.Fprintln(u.Out)
		fmt.Fprintf(u.Out, "%s %s\n", u.Paint(screen.Bold, printable.Line(t.Kind+" "+t.Name)), state)
		explainStack(u, rec, TaskStack(t), full)
	}
	if n > most && !full {
		fmt.Fprintf(u.Out, "\n… %s, with --full\n", printable.Plural(uint64(n-most), "more task", "more tasks"))
	}
}

// TaskStack is the stack of a task or greenlet.
func TaskStack(t *hang.Unit) stack.Stack {
	st := stack.Stack{}
	for _, f := range t.Frames {
		st.Frames = append(st.Frames, stack.Frame{Kind: stack.Python, Func: f.Func, File: f.File, Line: f.Line})
	}
	return st
}

// Annotate prints a workflow command that makes GitHub show the hang beside
// the line of the program that it happened in.
func Annotate(u *screen.UI, rec *recording.Recording, r *reason.Reason) {
	if !r.Says() || r.Why.Where == nil {
		return
	}
	title := "pyrr: hung"
	if r.Why.Raised != nil || r.Why.Ended() {
		title = "pyrr: failed"
	}
	f := r.Why.Where
	place := " "
	root := os.Getenv("GITHUB_WORKSPACE")
	file := f.File
	if !filepath.IsAbs(file) {
		file = filepath.Join(rec.Header().Cwd, file)
	}
	if rel, err := filepath.Rel(root, file); root != "" && err == nil && filepath.IsLocal(rel) {
		place = fmt.Sprintf(" file=%s,line=%d,", WorkflowEscape(rel, true), f.Line)
	}
	fmt.Fprintf(u.Commands(), "::error%stitle=%s::%s\n", place, WorkflowEscape(title, true), WorkflowEscape(printable.Clean(r.Why.Sentence), false))
}

// WorkflowEscape escapes text for a workflow command, in a property or in the
// message.
func WorkflowEscape(s string, property bool) string {
	s = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
	if property {
		s = strings.NewReplacer(":", "%3A", ",", "%2C").Replace(s)
	}
	return s
}

// explanation is the JSON form of explain.
type explanation struct {
	// Why is the reason, with its evidence and the graph of who waits for whom.
	Why *hang.Verdict `json:"why"`
	// Fingerprint is the same for the same fault in other runs.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Causes are what it got that the recording named by --unlike did not.
	Causes   []compare.Cause `json:"causes,omitempty"`
	Followed string          `json:"followed,omitempty"`
	// Hung is the thread that the others most probably wait for.
	Hung    *threadAtEnd  `json:"hung"`
	Threads []threadAtEnd `json:"threads"`
}

type threadAtEnd struct {
	Process     int         `json:"process"`
	PID         int         `json:"pid"`
	Thread      int         `json:"thread"`
	TID         int32       `json:"tid"`
	Name        string      `json:"name,omitempty"`
	Waits       string      `json:"waits"`
	Call        string      `json:"call,omitempty"`
	Since       float64     `json:"since,omitempty"`
	Seconds     float64     `json:"seconds,omitempty"`
	Attached    bool        `json:"attached,omitempty"` // it waited before pyrr attached
	Instruction uint64      `json:"instruction"`
	Event       uint64      `json:"event,omitempty"`
	Stack       []frameJSON `json:"stack"`
}

type frameJSON struct {
	Kind   string `json:"kind"`
	Func   string `json:"func"`
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Module string `json:"module,omitempty"`
}

func NewExplanation(why *hang.Verdict, ends []reason.Ending) explanation {
	x := explanation{Why: why, Fingerprint: why.Fingerprint(), Threads: []threadAtEnd{}}
	convert := func(w *reason.Waiting) threadAtEnd {
		t := threadAtEnd{Process: w.Proc.ID, PID: w.Proc.PID, Thread: w.Num, TID: w.TID, Name: w.Name, Waits: reason.WaitsFor(w), Call: w.Call,
			Since: float64(w.Since) / 1e9, Seconds: w.For.Seconds(), Attached: w.Attached, Instruction: w.Instr, Event: w.Event, Stack: []frameJSON{}}
		for _, f := range w.Stack.Frames {
			kind := "python"
			if f.Kind == stack.C {
				kind = "c"
			}
			t.Stack = append(t.Stack, frameJSON{kind, f.Func, f.File, f.Line, f.Module})
		}
		return t
	}
	for _, e := range ends {
		for i := range e.Threads {
			x.Threads = append(x.Threads, convert(&e.Threads[i]))
		}
	}
	if list := reason.ThreadsByVerdict(why, ends); len(list) > 0 {
		t := convert(list[0])
		x.Hung = &t
	}
	return x
}

// explainDeath prints the stack of the thread that ended a program: its C frames up
// to Python's tell what crashed.
func explainDeath(u *screen.UI, rec *recording.Recording, st stack.Stack, full bool) {
	if full {
		fmt.Fprint(u.Out, printable.Indent(StackLines(rec, st), "  "))
		return
	}
	const most = 8
	out, folded := st, 0
	out.Frames = nil
	python := false
	for _, f := range st.Frames {
		python = python || f.Kind == stack.Python
		if f.Kind == stack.C && !python && !f.Eval && len(out.Frames) < most || f.Kind == stack.Python && !hang.Machinery(f.File) && !hang.Library(f.File) {
			out.Frames = append(out.Frames, f)
		} else {
			folded++
		}
	}
	fmt.Fprint(u.Out, printable.Indent(StackLines(rec, out), "  "))
	if folded > 0 {
		fmt.Fprintf(u.Out, "  … %s, with --full\n", printable.Plural(uint64(folded), "more frame", "more frames"))
	}
}
