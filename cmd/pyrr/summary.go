package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"pyrr/assert"
	"pyrr/internal/hang"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

// told is what a CI is told of a recording. Values of variables, and the messages of
// exceptions, which hold some, are not in it unless they were asked for.
type told struct {
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
	stacks  string
}

// summaryFlags are those of pyrr summary.
type summaryFlags struct {
	json, annotate, values bool
	markdown, quality      string
	specs                  string
	maxSize                size
	artifact, url          string
	recordings             []string
}

func summaryCommand() *command {
	return &command{
		name:     "summary",
		synopsis: "[--markdown FILE] [--annotate] [--code-quality FILE] [--json] [--values] [RECORDING|FOLDER]…",
		short:    "say for a CI why each recorded test hung or failed",
		long: `Prints of each recording what hung or failed, why, and where; those with the same
fault are told together. Without an argument the recordings are those in the
folder recordings. The forms of CI systems are written beside it.

Text that comes from recordings is made harmless for where it goes: it mentions
nobody, links nowhere, and commands no runner. Values of variables, and the
messages of exceptions, are left out unless --values is given.`,
		examples: []example{
			{"pyrr summary", "of all in recordings"},
			{"pyrr summary --code-quality gl.json", "for GitLab's merge requests"},
			{"pyrr summary --json | jq -r '.[].sentence'", "for a script"},
		},
		exits: []exitDoc{
			{"0", "all was told"},
			{"2", "usage error"},
			{"3", "a recording is missing or damaged; the others were told"},
			{"5", "there is no recording"},
		},
		operand: "recording",
		setup: func(fs *pflag.FlagSet) func(context.Context, *ui, []string) error {
			f := summaryFlags{maxSize: 900 << 10}
			fs.BoolVar(&f.json, "json", false, "print JSON")
			fs.StringVar(&f.markdown, "markdown", "", "write it to `FILE` as Markdown, too; - is standard output alone")
			fs.Var(&f.maxSize, "max-size", "the `size` that the Markdown may have (default 900 KiB); what exceeds it is named only")
			fs.BoolVar(&f.annotate, "annotate", false, "print workflow commands that make GitHub Actions show it beside the code; 10 at most")
			fs.StringVar(&f.quality, "code-quality", "", "write it to `FILE` as a Code Quality report of GitLab, too")
			fs.BoolVar(&f.values, "values", false, "with the messages of exceptions")
			fs.StringVar(&f.specs, "specs", defaultSpecs, "the `folder` of specs that may be about such recordings")
			fs.StringVar(&f.artifact, "artifact", "", "the `NAME` of the artifact with the recordings, in GitHub Actions")
			fs.StringVar(&f.url, "artifact-url", "", "its `URL`")
			return func(_ context.Context, u *ui, args []string) error {
				return summary(u, &f, args)
			}
		},
	}
}

func summary(u *ui, f *summaryFlags, args []string) error {
	if len(args) == 0 {
		args = []string{defaultDir}
	}
	for _, arg := range args {
		paths, err := recordingsIn(arg)
		if err != nil {
			return notRecording("summary", arg)
		}
		f.recordings = append(f.recordings, paths...)
	}
	specs, err := assert.Load(f.specs)
	if err != nil {
		specs = nil // pyrr check says what is wrong with them
	}
	var all []*told
	var failed error
	for i, path := range f.recordings {
		u.status("reading %s, %d of %d", path, i+1, len(f.recordings))
		one, err := tellOne(u, path, f.values)
		if err != nil {
			failed = cmp.Or(failed, fmt.Errorf("%s: %w", path, err))
			one.Error = cleanLine(err.Error())
		}
		one.Spec = specFor(specs, one)
		all = append(all, one)
	}
	u.clearStatus()
	groups := byFault(all)
	if err := writeSummary(u, f, all, groups); err != nil {
		return err
	}
	if failed == nil && len(all) == 0 {
		u.note("there is no recording in %s", strings.Join(args, ", "))
		return exitStatusError(exitNothing)
	}
	return failed
}

func writeSummary(u *ui, f *summaryFlags, all []*told, groups [][]*told) error {
	if f.quality != "" {
		if err := writeWhole(f.quality, func(w io.Writer) error { return codeQuality(w, groups) }); err != nil {
			return err
		}
	}
	if f.annotate {
		annotateAll(u, groups)
	}
	switch {
	case f.markdown == "-":
		_, err := io.WriteString(u.out, summaryMarkdown(f, groups))
		return err
	case f.markdown != "":
		if err := writeWhole(f.markdown, func(w io.Writer) error {
			_, err := io.WriteString(w, summaryMarkdown(f, groups))
			return err
		}); err != nil {
			return err
		}
	}
	if f.json {
		if all == nil {
			all = []*told{}
		}
		return u.printJSON(all)
	}
	if !f.annotate {
		summaryText(u, groups)
	}
	return nil
}

// tellOne reads a recording.
func tellOne(u *ui, path string, values bool) (*told, error) {
	t := &told{Recording: path, Seen: 1, Outcome: "unreadable"}
	rec, err := openRecording("summary", path)
	if err != nil {
		return t, err
	}
	defer rec.Close()
	l, err := listOne(path)
	if err != nil {
		return t, err
	}
	t.Test, t.Outcome, t.command = l.Test, l.Outcome, shorten(shellJoin(l.Command), 120)
	r, err := reasons(rec, false)
	if err != nil {
		return t, err
	}
	t.Degree, t.Fingerprint = r.Why.Degree, r.Why.Fingerprint()
	t.Sentence = strings.TrimPrefix(cleanLine(r.Why.Sentence), "No verdict: ")
	if x := r.Why.Raised; x != nil && !values {
		t.Sentence = withoutValues(t.Sentence, x)
	}
	if w := r.Why.Where; w != nil {
		t.File, t.Line, t.Func = cleanLine(relativeFile(rec, w.File)), w.Line, cleanLine(w.Func)
	}
	t.stacks = foldedStacks(u, rec, r)
	return t, nil
}

// withoutValues leaves the message of an exception out of a sentence that begins with it.
func withoutValues(sentence string, x *hang.Raised) string {
	if i := strings.LastIndex(sentence, " at "); i >= 0 && strings.HasPrefix(sentence, x.Type+":") {
		return x.Type + sentence[i:]
	}
	if strings.HasPrefix(sentence, x.Type+":") {
		return x.Type + "."
	}
	return sentence
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

// foldedStacks are the user's frames of each thread, the concerned ones first.
func foldedStacks(u *ui, rec *recording.Recording, r *reasoned) string {
	var b strings.Builder
	many := len(r.Ends) > 1
	const most = 20
	list := threadsByVerdict(r.Why, r.Ends)
	for i, w := range list {
		if i == most {
			fmt.Fprintf(&b, "\n… %s\n", plural(uint64(len(list)-most), "more thread", "more threads"))
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		if many {
			fmt.Fprintf(&b, "process %d, ", w.Proc.ID)
		}
		fmt.Fprintf(&b, "thread %d %s %s%s\n", w.Num, cleanLine(w.Name), waitsFor(w), lasting(w))
		own, folded := foldStack(w.Stack)
		b.WriteString(stackLines(rec, own))
		if folded > 0 {
			fmt.Fprintf(&b, "… %s\n", plural(uint64(folded), "more frame", "more frames"))
		}
	}
	if x := r.Why.Raised; x != nil {
		paths := stack.Paths{Root: rec.Header().Cwd}
		for i := range x.Frames {
			f := &x.Frames[i]
			if hang.Machinery(f.File) || hang.Library(f.File) && i > 0 {
				continue
			}
			short, _ := paths.Short(f.File)
			fmt.Fprintf(&b, "Py  %-32s  %-32s  %s\n", cleanLine(f.Func), cleanLine(fmt.Sprintf("%s:%d", short, f.Line)), cleanLine(strings.TrimSpace(sourceLine(rec, f.File, f.Line))))
		}
	}
	return b.String()
}

// specFor finds the spec that is about a recording: by the test, or by the name that
// its recordings have.
func specFor(specs []*assert.Spec, t *told) string {
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

// byFault puts those with the same fault together, in the order of their first ones.
func byFault(all []*told) [][]*told {
	var out [][]*told
	at := map[string]int{}
	for _, t := range all {
		if k, ok := at[t.Fingerprint]; ok && t.Fingerprint != "" {
			out[k] = append(out[k], t)
			continue
		}
		at[t.Fingerprint] = len(out)
		out = append(out, []*told{t})
	}
	for _, g := range out {
		for _, t := range g {
			t.Seen = len(g)
		}
	}
	// What hung comes before what failed.
	slices.SortStableFunc(out, func(a, b []*told) int { return cmp.Compare(rank(a[0]), rank(b[0])) })
	return out
}

func rank(t *told) int {
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
func (t *told) what() string {
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
func summaryText(u *ui, groups [][]*told) {
	whole := u.out
	out, flush := u.fitted()
	defer func() { flush(); u.out = whole }()
	u.out = out
	for i, g := range groups {
		if i > 0 {
			fmt.Fprintln(u.out)
		}
		first := g[0]
		fmt.Fprintf(u.out, "%s %s\n", u.paintOut(bold, cleanLine(cmp.Or(first.Test, first.command, first.Recording))), cleanLine(first.what()))
		if first.Error != "" {
			fmt.Fprintf(u.out, "  %s\n", first.Error)
		}
		if first.Sentence != "" {
			fmt.Fprintf(u.out, "  %s\n", first.Sentence)
		}
		fmt.Fprintf(u.out, "  recorded in %s\n", cleanLine(first.Recording))
		for _, t := range g[1:min(len(g), 6)] {
			fmt.Fprintf(u.out, "  the same: %s, in %s\n", cleanLine(cmp.Or(t.Test, t.command)), cleanLine(t.Recording))
		}
		if n := len(g) - 6; n > 0 {
			fmt.Fprintf(u.out, "  the same: %d more\n", n)
		}
	}
}
