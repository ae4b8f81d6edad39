package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

func explainCommand() *command {
	return &command{
		name:     "explain",
		synopsis: "[--all] [--json | --markdown | --github] RECORDING",
		short:    "say why the program hung",
		long: `Says of each thread that was still there at the end what it waited in, since
when, and where in Python: of the processes that the time-out stopped, or that
the recording does not follow to their end. The thread that the others most
probably wait for comes first.

It reads the index of stacks that pyrr record makes, on any machine; without
one it replays the recording.`,
		examples: []example{
			{"pyrr explain recordings/test_pool-k3x9fa.pyrr.zip", ""},
			{"pyrr explain --json app.pyrr.zip | jq .hung.call", "for a script"},
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
			all := fs.Bool("all", false, "the ends of processes that ended by themselves too")
			asJSON := fs.Bool("json", false, "print JSON")
			markdown := fs.Bool("markdown", false, "print a block for a bug report")
			github := fs.Bool("github", false, "print an annotation for GitHub Actions")
			return func(_ context.Context, u *ui, args []string) error {
				rec, path, err := oneRecording("explain", args)
				if err != nil {
					return err
				}
				defer rec.Close()
				u.status("reading %s", path)
				ends, err := endings(rec, *all)
				u.clearStatus()
				if err != nil {
					return replayFailed(err, path)
				}
				switch {
				case *markdown:
					return printMarkdown(u, rec, path, ends)
				case *github:
					annotate(u, ends)
					return nil
				case *asJSON:
					err = u.printJSON(explanationOf(ends))
				default:
					explain(u, rec, ends)
				}
				if err == nil && len(ends) == 0 {
					u.note("every process ended by itself, so nothing hung")
					u.hint("pyrr explain --all " + shellQuote(path))
					err = exitStatusError(exitNothing)
				}
				return err
			}
		},
	}
}

// explain prints the explanation for people.
func explain(u *ui, rec *recording.Recording, ends []ending) {
	first, found := hung(ends)
	if !found {
		return
	}
	many := len(ends) > 1
	heading := func(w *waiting) string {
		s := fmt.Sprintf("thread %d", w.Num)
		if w.Name != "" {
			s += " " + w.Name
		}
		if many {
			s = fmt.Sprintf("process %d, pid %d, %s", w.Proc.ID, w.Proc.PID, s)
		}
		return cleanLine(s)
	}
	show := func(w *waiting) {
		fmt.Fprintf(u.out, "%s %s\n", u.paintOut(bold, heading(w)), waitsFor(w))
		if w.Call != "" {
			fmt.Fprintf(u.out, "  in     %s\n", cleanLine(shorten(w.Call, 160)))
			fmt.Fprintf(u.out, "  since  %s, for %s, instruction %s, event %s\n", atTime(w.Since), seconds(w.For), grouped(w.Instr), grouped(w.Event))
		}
		if f, ok := ownFrame(w.Stack); ok {
			fmt.Fprintf(u.out, "  at     %s:%d  %s\n", cleanLine(f.File), f.Line, cleanLine(f.Func))
			if text := sourceLine(rec, f.File, f.Line); text != "" {
				fmt.Fprintf(u.out, "         %s\n", cleanLine(strings.TrimSpace(text)))
			}
		}
		if len(w.Stack.Frames) > 0 {
			fmt.Fprintln(u.out)
			fmt.Fprint(u.out, indent(stackLines(rec, w.Stack), "  "))
		}
	}
	show(&first)
	for _, e := range ends {
		for i := range e.Threads {
			w := &e.Threads[i]
			if w.Proc.ID == first.Proc.ID && w.TID == first.TID {
				continue
			}
			fmt.Fprintln(u.out)
			show(w)
		}
	}
}

// annotate prints a workflow command that makes GitHub show the hang beside
// the line of the program that it happened in.
func annotate(u *ui, ends []ending) {
	w, ok := hung(ends)
	if !ok {
		return
	}
	f, ok := ownFrame(w.Stack)
	if !ok {
		return
	}
	place := ""
	root := os.Getenv("GITHUB_WORKSPACE")
	if rel, err := filepath.Rel(root, f.File); root != "" && err == nil && filepath.IsLocal(rel) {
		place = fmt.Sprintf(" file=%s,line=%d,", workflowEscape(rel, true), f.Line)
	}
	message := fmt.Sprintf("%s%s%s in %s (%s:%d)", strings.TrimSpace("thread "+w.Name+" "), " "+waitsFor(&w), lasting(&w), f.Func, f.File, f.Line)
	if place == "" {
		place = " "
	}
	fmt.Fprintf(u.out, "::error%stitle=%s::%s\n", place, workflowEscape("pyrr: hung", true), workflowEscape(clean(message), false))
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

func indent(text, by string) string {
	return by + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+by) + "\n"
}

// ownFrame returns the innermost Python frame outside the standard library and
// installed packages, else the innermost Python frame.
func ownFrame(s stack.Stack) (stack.Frame, bool) {
	var inner stack.Frame
	found := false
	for _, f := range s.Frames {
		if f.Kind != stack.Python {
			continue
		}
		if !found {
			inner, found = f, true
		}
		if !isLibrary(f.File) {
			return f, true
		}
	}
	return inner, found
}

// isLibrary says whether a file is not the user's own.
func isLibrary(file string) bool {
	_, origin := stack.Paths{}.Short(file)
	return origin == stack.Package || origin == stack.Stdlib
}

// sourceLine returns the text of a line, "" where the recording has it not.
func sourceLine(rec *recording.Recording, file string, line int) string {
	texts, err := rec.Sources()
	if err != nil || line < 1 {
		return ""
	}
	lines := strings.SplitN(string(texts[file]), "\n", line+1)
	if len(lines) < line {
		return ""
	}
	return strings.TrimRight(lines[line-1], "\r")
}

// explanation is the JSON form of explain.
type explanation struct {
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

func explanationOf(ends []ending) explanation {
	x := explanation{Threads: []threadAtEnd{}}
	convert := func(w *waiting) threadAtEnd {
		t := threadAtEnd{Process: w.Proc.ID, PID: w.Proc.PID, Thread: w.Num, TID: w.TID, Name: w.Name, Waits: waitsFor(w), Call: w.Call,
			Since: float64(w.Since) / 1e9, Seconds: w.For.Seconds(), Instruction: w.Instr, Event: w.Event, Stack: []frameJSON{}}
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
	if w, ok := hung(ends); ok {
		t := convert(&w)
		x.Hung = &t
	}
	return x
}
