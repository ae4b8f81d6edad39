// Package digest tells for a CI why each recorded test hung or failed, those with one
// fault together, in the forms that CI systems take.
//
// It never looks for a reason itself: package reason does. Begin with TellOne and Write.
package digest

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pyrr/assert"
	"pyrr/internal/contents"
	"pyrr/internal/find"
	"pyrr/internal/flagvalue"
	"pyrr/internal/hang"
	"pyrr/internal/outfile"
	"pyrr/internal/printable"
	"pyrr/internal/reason"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/show"
)

// Told is what a CI is told of a recording. Values of variables, and the messages of
// exceptions, which hold some, are not in it unless they were asked for.
type Told struct {
	Test      string `json:"test,omitempty"`
	Outcome   string `json:"outcome"`
	Sentence  string `json:"sentence"`
	Degree    string `json:"degree,omitempty"`
	File      string `json:"file,omitempty"` // from the working directory, where it lies below
	Line      int    `json:"line,omitempty"`
	Func      string `json:"func,omitempty"`
	Recording string `json:"recording"`
	// Fingerprint is the same for the same fault, Seen how many recordings have it.
	Fingerprint string `json:"fingerprint,omitempty"`
	Seen        int    `json:"seen"`
	// Spec is the spec that is about such recordings, "" for none.
	Spec  string `json:"spec,omitempty"`
	Error string `json:"error,omitempty"`

	command string
	Stacks  string `json:"-"`
}

// TellOne reads a recording.
func TellOne(u *screen.UI, path string, values bool) (*Told, error) {
	t := &Told{Recording: path, Seen: 1, Outcome: "unreadable"}
	rec, err := find.Open("summary", path)
	if err != nil {
		return t, err
	}
	defer rec.Close()
	l, err := contents.LineOf(path)
	if err != nil {
		return t, err
	}
	t.Test, t.Outcome, t.command = l.Test, l.Outcome, printable.Shorten(printable.ShellJoin(l.Command), 120)
	r, err := reason.Of(rec, false)
	if err != nil {
		return t, err
	}
	t.Degree, t.Fingerprint = r.Why.Degree, r.Why.Fingerprint()
	t.Sentence = r.Why.Plain
	if values {
		t.Sentence = r.Why.Sentence
	}
	t.Sentence = strings.TrimPrefix(printable.Line(t.Sentence), "No verdict: ")
	if w := r.Why.Where; w != nil {
		t.File, t.Line, t.Func = printable.Line(relativeFile(rec, w.File)), w.Line, printable.Line(w.Func)
	}
	t.Stacks = foldedStacks(u, rec, r)
	return t, nil
}

// relativeFile is a file as a CI names it: from the top of the checkout.
func relativeFile(rec *recording.Recording, file string) string {
	if !filepath.IsAbs(file) {
		file = filepath.Join(rec.Header().Cwd, file)
	}
	for _, root := range []string{os.Getenv("GITHUB_WORKSPACE"), os.Getenv("CI_PROJECT_DIR"), rec.Header().Cwd} {
		if rel, err := filepath.Rel(root, file); root != "" && err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return file
}

// foldedStacks are the user's frames of what was raised and of each thread, the
// concerned ones first.
func foldedStacks(u *screen.UI, rec *recording.Recording, r *reason.Reason) string {
	var b strings.Builder
	if raised := show.RaisedLines(rec, r.Why.Raised); raised != "" {
		b.WriteString("raised, the innermost frame first\n" + raised)
	}
	many := len(r.Ends) > 1
	const most = 20
	list := reason.ThreadsByVerdict(r.Why, r.Ends)
	if r.Why.Raised != nil { // it was the end of a test: the runner's own threads go on
		list = slices.DeleteFunc(list, func(w *reason.Waiting) bool { return !reason.HasOwn(w.Stack) })
	}
	for i, w := range list {
		if i == most {
			fmt.Fprintf(&b, "\n… %s\n", printable.Plural(uint64(len(list)-most), "more thread", "more threads"))
			break
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		if many {
			fmt.Fprintf(&b, "process %d, ", w.Proc.ID)
		}
		name := strings.TrimSpace(fmt.Sprintf("thread %d %s", w.Num, printable.Line(w.Name)))
		fmt.Fprintf(&b, "%s %s%s\n", name, reason.WaitsFor(w), show.Lasting(w))
		b.WriteString(show.FoldedLines(rec, w.Stack))
	}
	if r.Why.Raised == nil {
		foldedTasks(&b, rec, r)
	}
	return b.String()
}

// foldedTasks writes the user's frames of the tasks and greenlets that the verdict names.
func foldedTasks(b *strings.Builder, rec *recording.Recording, r *reason.Reason) {
	for i := range r.Ends {
		e := &r.Ends[i]
		for k := range r.Why.Units {
			for n := 0; e.Facts != nil && n < len(e.Facts.Units); n++ {
				t, named := &e.Facts.Units[n], &r.Why.Units[k]
				if t.Kind != hang.Thread && named.Proc == e.Proc.ID && named.Name == t.Kind+" "+t.Name {
					fmt.Fprintf(b, "\n%s\n%s", printable.Line(named.Name), show.FoldedLines(rec, show.TaskStack(t)))
				}
			}
		}
	}
}

// SpecFor finds the spec that is about a recording: by the test, or by the name that
// its recordings have.
func SpecFor(specs []*assert.Spec, t *Told) string {
	base := filepath.Base(t.Recording)
	for _, s := range specs {
		if s.Test != "" && s.Test == t.Test {
			return s.File
		}
		if ok, err := filepath.Match(filepath.Base(s.Recording), base); s.Recording != "" && err == nil && ok {
			return s.File
		}
	}
	return ""
}

// ByFault puts those with the same fault together, in the order of their first ones.
func ByFault(all []*Told) [][]*Told {
	var out [][]*Told
	at := map[string]int{}
	for _, t := range all {
		if k, ok := at[t.Fingerprint]; ok && t.Fingerprint != "" {
			out[k] = append(out[k], t)
			continue
		}
		at[t.Fingerprint] = len(out)
		out = append(out, []*Told{t})
	}
	for _, g := range out {
		for _, t := range g {
			t.Seen = len(g)
		}
	}
	// What hung comes before what failed.
	slices.SortStableFunc(out, func(a, b []*Told) int { return cmp.Compare(rank(a[0]), rank(b[0])) })
	return out
}

func rank(t *Told) int {
	switch t.Outcome {
	case recording.EndTimeout:
		return 0
	case "crashed", "cancelled", "not finished":
		return 1
	case "unreadable":
		return 3
	}
	return 2
}

// what says what happened to a test.
func (t *Told) what() string {
	switch t.Outcome {
	case recording.EndTimeout:
		return "hung"
	case "failed":
		return "failed"
	case "crashed":
		return "ended its process"
	case "cancelled":
		return "was cancelled while it ran"
	}
	if strings.HasPrefix(t.Outcome, "exit status") {
		return "failed"
	}
	return t.Outcome
}

// summaryText prints the summary for people.
func summaryText(u *screen.UI, groups [][]*Told) {
	whole := u.Out
	out, flush := u.Fitted()
	defer func() { flush(); u.Out = whole }()
	u.Out = out
	for i, g := range groups {
		if i > 0 {
			fmt.Fprintln(u.Out)
		}
		first := g[0]
		fmt.Fprintf(u.Out, "%s %s\n", u.Paint(screen.Bold, printable.Line(cmp.Or(first.Test, first.command, first.Recording))), printable.Line(first.what()))
		if first.Error != "" {
			fmt.Fprintf(u.Out, "  %s\n", first.Error)
		}
		if first.Sentence != "" {
			fmt.Fprintf(u.Out, "  %s\n", first.Sentence)
		}
		fmt.Fprintf(u.Out, "  recorded in %s\n", printable.Line(first.Recording))
		for _, t := range g[1:min(len(g), 6)] {
			fmt.Fprintf(u.Out, "  the same: %s, in %s\n", printable.Line(cmp.Or(t.Test, t.command)), printable.Line(t.Recording))
		}
		if n := len(g) - 6; n > 0 {
			fmt.Fprintf(u.Out, "  the same: %d more\n", n)
		}
	}
}

// WriteWhole writes a file that a user named.
func WriteWhole(file string, write func(io.Writer) error) error {
	return outfile.Write(file, 0o644, write)
}

// Flags are those of pyrr summary.
type Flags struct {
	JSON, Annotate, Values bool
	Markdown, Quality      string
	Specs                  string
	MaxSize                flagvalue.Size
	Artifact, URL          string
	Recordings             []string
}

func Write(u *screen.UI, f *Flags, all []*Told, groups [][]*Told) error {
	if f.Quality != "" {
		if err := WriteWhole(f.Quality, func(w io.Writer) error { return codeQuality(w, groups) }); err != nil {
			return err
		}
	}
	if f.Annotate {
		AnnotateAll(u, groups)
	}
	switch {
	case f.Markdown == "-":
		_, err := io.WriteString(u.Out, SummaryMarkdown(f, groups))
		return err
	case f.Markdown != "":
		if err := WriteWhole(f.Markdown, func(w io.Writer) error {
			_, err := io.WriteString(w, SummaryMarkdown(f, groups))
			return err
		}); err != nil {
			return err
		}
	}
	if f.JSON {
		if all == nil {
			all = []*Told{}
		}
		return u.PrintJSON(all)
	}
	if !f.Annotate {
		summaryText(u, groups)
	}
	return nil
}
