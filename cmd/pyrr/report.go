package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"pyrr/internal/compare"
	"pyrr/internal/recording"
	"pyrr/internal/report"
	"pyrr/internal/stack"
)

func reportCommand() *command {
	return &command{
		name:     "report",
		synopsis: "[-o FILE] [--events N] RECORDING",
		short:    "make one HTML page about a recording",
		long: `Writes a page that needs nothing else: what was recorded, which thread hung in
what, the stack of each thread with the lines of its Python files around the
place, and the last events before. It is made from the index of stacks, on any
machine. pyrr check --html makes one about a check.

The page shows lines of the program's files and arguments of its system calls;
make it from what pyrr pack wrote where these may hold secrets.`,
		examples: []example{
			{"pyrr report recordings/test_pool-k3x9fa.pyrr.zip", "writes test_pool-k3x9fa.html beside it"},
			{"pyrr report -o - hung.pyrr.zip > hung.html", ""},
		},
		exits: []exitDoc{
			{"0", "the page was written"},
			{"1", "it could not be written"},
			{"2", "usage error"},
			{"3", "the recording is missing or damaged, or its replay diverged"},
			{"4", "this machine can't replay it, and it has no index"},
		},
		operand: "recording",
		setup: func(fs *pflag.FlagSet) func(context.Context, *ui, []string) error {
			out := fs.StringP("output", "o", "", "write it to `FILE`; - is standard output (default: beside the recording)")
			events := fs.Int("events", 200, "how many of the last events it shows")
			return func(_ context.Context, u *ui, args []string) error {
				if *events < 0 {
					return usagef("--events takes a number from 0 on, not %d", *events)
				}
				rec, path, err := oneRecording("report", args)
				if err != nil {
					return err
				}
				defer rec.Close()
				u.status("reading %s", path)
				page, err := pageOf(rec, path, *events)
				u.clearStatus()
				if err != nil {
					return replayFailed(err, path)
				}
				write := func(w io.Writer) error { return report.RecordingHTML(w, page) }
				switch *out {
				case "-":
					return write(u.out)
				case "":
					*out = strings.TrimSuffix(strings.TrimSuffix(filepath.Clean(path), ".zip"), ".part")
					*out = strings.TrimSuffix(*out, ".pyrr") + ".html"
				}
				if err := writeWhole(*out, write); err != nil {
					return err
				}
				u.note("wrote %s", *out)
				return nil
			}
		},
	}
}

// pageOf gathers what the page shows.
func pageOf(rec *recording.Recording, path string, events int) (*report.Recording, error) {
	r, err := reasons(rec, false)
	if err != nil {
		return nil, err
	}
	info, err := summarize(rec, path, func(uint64) {})
	if err != nil {
		return nil, err
	}
	p := &report.Recording{Title: shorten(shellJoin(info.Command), 160), Summary: outcomeOf(info)}
	fact := func(name, format string, args ...any) {
		p.Facts = append(p.Facts, report.Fact{Name: name, Value: fmt.Sprintf(format, args...)})
	}
	fact("recorded", "%s, Linux %s", info.Started.UTC().Format("2006-01-02 15:04:05 UTC"), info.Kernel)
	if len(info.Pythons) > 0 {
		fact("Python", "%s", strings.Join(info.Pythons, ", "))
	}
	fact("length", "%s instructions, %s events, %s, %s", grouped(info.Instructions), grouped(info.Events),
		seconds(time.Duration(info.Seconds*1e9)), plural(uint64(len(info.Processes)), "process", "processes"))
	if !info.Complete {
		fact("incomplete", "%s", info.Why)
	}
	fact("verified", "%s", map[string]string{"exact": "yes, a replay was exact", "no": "no"}[info.Verified]+divergedNote(info.Verified))
	first, found := r.first()
	ends := r.Ends
	if found || r.Why.Raised != nil {
		p.Facts = slices.Insert(p.Facts, 0, report.Fact{Name: "why", Value: r.Why.Sentence})
	}
	if found {
		p.Threads = append(p.Threads, threadAtEndOf(rec, &first, len(ends) > 1, true))
	}
	for _, e := range ends {
		for i := range e.Threads {
			if w := &e.Threads[i]; w.Proc.ID != first.Proc.ID || w.TID != first.TID {
				p.Threads = append(p.Threads, threadAtEndOf(rec, w, len(ends) > 1, false))
			}
		}
	}
	if err := addLastEvents(p, rec, events); err != nil {
		return nil, err
	}
	name := shellQuote(filepath.Base(path))
	p.Commands = []string{"pyrr explain " + name, "pyrr events " + name}
	if info.Form != recording.FormIndex {
		p.Commands = append(p.Commands, "pyrr replay "+name)
	}
	return p, nil
}

// outcomeOf says in a word or two how a recording ended.
func outcomeOf(info *recordingInfo) string {
	switch {
	case info.TimedOut:
		return "hangs"
	case info.Status == nil:
		return "was cut"
	case *info.Status != 0:
		return "fails: " + describeStatus(*info.Status)
	}
	return "ended"
}

// around is how many lines of source are shown before and after a frame's.
const around = 5

func threadAtEndOf(rec *recording.Recording, w *waiting, processes, open bool) report.ThreadAtEnd {
	t := report.ThreadAtEnd{Title: strings.TrimSpace(fmt.Sprintf("thread %d %s", w.Num, w.Name)), Waits: waitsFor(w), Open: open, Err: w.Stack.Err()}
	if processes {
		t.Title = fmt.Sprintf("process %d, %s", w.Proc.ID, t.Title)
	}
	if w.Call != "" {
		t.Waits += lasting(w)
		t.Call = shorten(w.Call, 200)
		t.Note = fmt.Sprintf("since %s, instruction %s, event %s", atTime(w.Since), grouped(w.Instr), grouped(w.Event))
	}
	paths := stack.Paths{Root: rec.Header().Cwd}
	texts, err := rec.Sources()
	if err != nil {
		texts = nil // the page goes without
	}
	own, owned := ownFrame(w.Stack)
	for _, f := range w.Stack.Frames {
		if f.Eval {
			continue // the Python frames say what it does
		}
		out := report.FrameWithSource{Kind: "C", Func: f.Func, Place: f.Module}
		if f.Kind == stack.Python {
			short, _ := paths.Short(f.File)
			out.Kind, out.Place, out.Own = "Py", fmt.Sprintf("%s:%d", short, f.Line), !stack.IsLibrary(f.File)
			lines := linesOf(texts[f.File])
			for n := max(1, f.Line-around); f.Line > 0 && f.Line <= len(lines) && n <= min(len(lines), f.Line+around); n++ {
				out.Source = append(out.Source, report.SourceLine{Number: fmt.Sprintf("%5d", n), Text: lines[n-1], Here: n == f.Line})
			}
			if open && owned && f == own {
				out.Open, owned = true, false
			}
		}
		t.Frames = append(t.Frames, out)
	}
	return t
}

// addLastEvents adds the events before the end, the calls that only tell how
// threads were scheduled left out.
func addLastEvents(p *report.Recording, rec *recording.Recording, most int) error {
	side, err := compare.ReadLast(&recordingSource{rec: rec}, most)
	if err != nil {
		return err
	}
	all := side.InTime()
	p.Shown = fmt.Sprintf("%s of %s, without locks, memory and clocks", grouped(uint64(min(most, len(all)))), grouped(uint64(len(all))))
	for _, i := range all[max(0, len(all)-most):] {
		e := side.Event(i)
		line := report.EventLine{At: grouped(e.Pos.Instr), Time: fmt.Sprintf("%.3fs", e.Start.Seconds()),
			Thread: strings.TrimSpace(fmt.Sprintf("%d/%d %s", e.Proc, e.Thread, e.ThreadName)), Event: e.Text()}
		if f, ok := side.Place(i); ok {
			line.Place, line.Func = fmt.Sprintf("%s:%d", f.File, f.Line), f.Func
		}
		p.Events = append(p.Events, line)
	}
	return nil
}
