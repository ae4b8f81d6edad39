package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"pyrr/internal/compare"
	"pyrr/internal/hang"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

const explainText = `Of a hang it says in a sentence who waits for what, who holds it or owes it, and
at which line of the program; of a failed test or program the exception, the line
of its own code, and its variables as they were; of a crash the signal, the
address and the stack; of a killed process who sent the signal. The lines below
are the evidence, each with a position for pyrr
replay --at; then come the stacks of all threads and tasks, those concerned first,
with the frames of the program's own code (--full: all).

A verdict is proven, where the circle or the holder is in the recording; likely,
and then a line says what is missing; or none: then the stacks must do.

It reads the index that pyrr record makes, on any machine; without one it replays
the recording.`

func explainCommand() *command {
	return &command{
		name:     "explain",
		synopsis: "[--all] [--full] [--unlike RECORDING] [--json | --markdown | --github | --fingerprint] RECORDING | --pid PID",
		short:    "say why the program hung or failed",
		long:     explainText,
		examples: []example{
			{"pyrr explain recordings/test_pool-k3x9fa.pyrr.zip", ""},
			{"pyrr explain --unlike passed.pyrr.zip failed.pyrr.zip", "and what it got that the run that passed did not"},
			{"pyrr explain --json app.pyrr.zip | jq -r .why.sentence", "for a script"},
			{"pyrr explain --pid 4711", "why a program hangs that runs now"},
			{"pyrr explain --pid 4711 --for 1s", "the same of one that computes or polls"},
		},
		exits: []exitDoc{
			{"0", "it was explained"},
			{"2", "usage error"},
			{"3", "the recording is missing or damaged, or its replay diverged"},
			{"4", "this machine can't replay it, and it has no index"},
			{"5", "every process ended by itself: there is nothing to explain"},
		},
		operand: "recording",
		setup: func(fs *pflag.FlagSet) func(context.Context, *ui, []string) error {
			g := declareGlance(fs)
			all := fs.Bool("all", false, "the ends of processes that ended by themselves too")
			full := fs.Bool("full", false, "whole stacks, with the frames of libraries and of C")
			asJSON := fs.Bool("json", false, "print JSON")
			markdown := fs.Bool("markdown", false, "print a block for a bug report")
			fingerprint := fs.Bool("fingerprint", false, "print what is the same for the same fault in other runs")
			unlike := fs.String("unlike", "", "a `recording` of a run that passed: say what this one got that that one did not")
			github := fs.Bool("github", false, "print an annotation for GitHub Actions")
			return func(_ context.Context, u *ui, args []string) error {
				if g.record > 0 && g.pid == 0 {
					return usagef("explain: --for goes with --pid")
				}
				rec, path, done, err := recordingOrProcess(u, "explain", *g, args)
				if err != nil {
					return err
				}
				defer done()
				u.status("reading %s", path)
				r, err := reasons(rec, *all)
				u.clearStatus()
				if err != nil {
					return replayFailed(err, path)
				}
				if *unlike != "" {
					if r.Unlike, err = unlikeOf(u, rec, path, *unlike); err != nil {
						return err
					}
				}
				switch {
				case *fingerprint:
					return printFingerprint(u, r)
				case *markdown:
					return printMarkdown(u, rec, path, r)
				case *github:
					annotate(u, rec, r)
					return nil
				case *asJSON:
					err = printExplanation(u, r)
				default:
					if r.Says() {
						explainFitted(u, rec, r, *full)
					}
					g.hint(u, r)
				}
				if err == nil && !r.Says() {
					u.note("every process ended by itself, so nothing hung")
					u.hint("pyrr explain --all " + shellQuote(path))
					err = exitStatusError(exitNothing)
				}
				return err
			}
		},
	}
}

// printFingerprint prints what is the same for the same fault in other runs.
func printFingerprint(u *ui, r *reasoned) error {
	if f := r.Why.Fingerprint(); f != "" {
		fmt.Fprintln(u.out, f)
		return nil
	}
	u.note("no verdict, so there is no fingerprint")
	return exitStatusError(exitNothing)
}

// printExplanation prints the JSON form.
func printExplanation(u *ui, r *reasoned) error {
	x := explanationOf(r.Why, r.Ends)
	if r.Unlike != nil {
		x.Causes, x.Followed = r.Unlike.Causes(), r.Unlike.Followed("the run that passed", "this run")
	}
	return u.printJSON(x)
}

// explainFitted prints the explanation, no wider than the screen.
func explainFitted(u *ui, rec *recording.Recording, r *reasoned, full bool) {
	whole := u.out
	out, flush := u.fitted()
	u.out = out
	explain(u, rec, r.Why, r.Ends, full, r.Unlike)
	if len(r.Death.Frames) > 0 {
		fmt.Fprintln(u.out)
		explainDeath(u, rec, r.Death, full)
	}
	flush()
	u.out = whole
}

// explain prints the explanation for people: the reason in a sentence, its
// evidence, then the stacks.
func explain(u *ui, rec *recording.Recording, why *hang.Verdict, ends []ending, full bool, unlike *compare.Result) {
	fmt.Fprintln(u.out, u.paintOut(bold, cleanLine(why.Sentence)))
	if since := sinceWhen(why); since != "" {
		fmt.Fprintln(u.out, since)
	}
	if why.Degree == hang.Likely && why.Missing != "" {
		fmt.Fprintf(u.out, "Likely, not proven: the recording does not show %s.\n", cleanLine(why.Missing))
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
	shown := threadsByVerdict(why, ends)
	for _, w := range shown {
		fmt.Fprintln(u.out)
		explainThread(u, rec, w, many, full)
	}
	for i := range ends {
		explainTasks(u, rec, &ends[i], full)
	}
}

// explainEvidence prints what the sentence rests on, each with its position.
func explainEvidence(u *ui, rec *recording.Recording, why *hang.Verdict) {
	const most = 8
	for i, e := range why.Evidence {
		if i == 0 {
			fmt.Fprintln(u.out)
		}
		if i == most {
			fmt.Fprintf(u.out, "  … %s\n", plural(uint64(len(why.Evidence)-most), "more line of evidence", "more lines of evidence"))
			break
		}
		at := ""
		if e.Event > 0 {
			at = fmt.Sprintf("e%d", e.Event)
			if e.Proc > 1 {
				at += fmt.Sprintf(" --process %d", e.Proc)
			}
		}
		fmt.Fprintf(u.out, "  %-8s  %s\n", at, cleanLine(e.Text))
		if text := strings.TrimSpace(sourceLine(rec, e.File, e.Line)); text != "" {
			fmt.Fprintf(u.out, "  %-8s      %d  %s\n", "", e.Line, cleanLine(shorten(text, 120)))
		}
	}
}

// explainRaised prints an exception: its whole message, and the frames that it
// went through with their variables as they were when it left them.
func explainRaised(u *ui, rec *recording.Recording, r *hang.Raised, full bool) {
	if text := strings.TrimSpace(r.Text); strings.Contains(text, "\n") {
		fmt.Fprintln(u.out)
		fmt.Fprint(u.out, indent(clean(shorten(text, 2000)), "  "))
	}
	paths := stack.Paths{Root: rec.Header().Cwd}
	folded := 0
	fmt.Fprintln(u.out)
	var rows []frameRow
	for i := range r.Frames {
		f := &r.Frames[i]
		if !full && (hang.Machinery(f.File) || hang.Library(f.File) && i > 0) {
			folded++
			continue
		}
		short, _ := paths.Short(f.File)
		text := strings.TrimSpace(sourceLine(rec, f.File, f.Line))
		row := frameRow{name: cleanLine(f.Func), place: cleanLine(fmt.Sprintf("%s:%d", short, f.Line)), text: cleanLine(text)}
		for _, v := range f.Vars {
			row.below = append(row.below, fmt.Sprintf("%s = %s", cleanLine(v.Name), cleanLine(v.Value)))
		}
		rows = append(rows, row)
	}
	fmt.Fprint(u.out, indent(u.frameLines(rows), "  "))
	if folded > 0 {
		fmt.Fprintf(u.out, "  … %s, with --full\n", plural(uint64(folded), "more frame", "more frames"))
	}
}

// explainThread prints a thread at the end and its stack.
func explainThread(u *ui, rec *recording.Recording, w *waiting, many, full bool) {
	heading := fmt.Sprintf("thread %d", w.Num)
	if w.Name != "" {
		heading += " " + w.Name
	}
	if many {
		heading = fmt.Sprintf("process %d, pid %d, %s", w.Proc.ID, w.Proc.PID, heading)
	}
	fmt.Fprintf(u.out, "%s %s\n", u.paintOut(bold, cleanLine(heading)), waitsFor(w))
	if w.Call != "" {
		fmt.Fprintf(u.out, "  in     %s\n", cleanLine(shorten(w.Call, 160)))
		since := atTime(w.Since) + ", for " + seconds(w.For)
		switch {
		case w.Attached:
			since = "before pyrr attached"
		case w.Early:
			since = "before the recording begins, for " + seconds(w.For)
		}
		fmt.Fprintf(u.out, "  since  %s, instruction %s, event %s\n", since, grouped(w.Instr), grouped(w.Event))
	}
	explainStack(u, rec, w.Stack, full)
}

// explainStack prints a stack: the frames of the program's own code and the
// innermost one, unless all are wanted.
func explainStack(u *ui, rec *recording.Recording, st stack.Stack, full bool) {
	if len(st.Frames) == 0 {
		return
	}
	if full {
		fmt.Fprint(u.out, indent(u.stackRows(rec, st), "  "))
		return
	}
	own, folded := foldStack(st)
	if len(own.Frames) > 0 {
		fmt.Fprint(u.out, indent(u.stackRows(rec, own), "  "))
	}
	if folded > 0 {
		fmt.Fprintf(u.out, "  … %s, with --full\n", plural(uint64(folded), "more frame", "more frames"))
	}
}

// explainTasks prints the tasks and greenlets of a process.
func explainTasks(u *ui, rec *recording.Recording, e *ending, full bool) {
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
		fmt.Fprintln(u.out)
		fmt.Fprintf(u.out, "%s %s\n", u.paintOut(bold, cleanLine(t.Kind+" "+t.Name)), state)
		st := stack.Stack{}
		for _, f := range t.Frames {
			st.Frames = append(st.Frames, stack.Frame{Kind: stack.Python, Func: f.Func, File: f.File, Line: f.Line})
		}
		explainStack(u, rec, st, full)
	}
	if n > most && !full {
		fmt.Fprintf(u.out, "\n… %s, with --full\n", plural(uint64(n-most), "more task", "more tasks"))
	}
}

// annotate prints a workflow command that makes GitHub show the hang beside
// the line of the program that it happened in.
func annotate(u *ui, rec *recording.Recording, r *reasoned) {
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
		place = fmt.Sprintf(" file=%s,line=%d,", workflowEscape(rel, true), f.Line)
	}
	fmt.Fprintf(u.commands(), "::error%stitle=%s::%s\n", place, workflowEscape(title, true), workflowEscape(clean(r.Why.Sentence), false))
}

// workflowEscape escapes text for a workflow command, in a property or in the
// message.
func workflowEscape(s string, property bool) string {
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

func explanationOf(why *hang.Verdict, ends []ending) explanation {
	x := explanation{Why: why, Fingerprint: why.Fingerprint(), Threads: []threadAtEnd{}}
	convert := func(w *waiting) threadAtEnd {
		t := threadAtEnd{Process: w.Proc.ID, PID: w.Proc.PID, Thread: w.Num, TID: w.TID, Name: w.Name, Waits: waitsFor(w), Call: w.Call,
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
	if list := threadsByVerdict(why, ends); len(list) > 0 {
		t := convert(list[0])
		x.Hung = &t
	}
	return x
}

// explainDeath prints the stack of the thread that ended a program: its C frames up
// to Python's tell what crashed.
func explainDeath(u *ui, rec *recording.Recording, st stack.Stack, full bool) {
	if full {
		fmt.Fprint(u.out, indent(stackLines(rec, st), "  "))
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
	fmt.Fprint(u.out, indent(stackLines(rec, out), "  "))
	if folded > 0 {
		fmt.Fprintf(u.out, "  … %s, with --full\n", plural(uint64(folded), "more frame", "more frames"))
	}
}
