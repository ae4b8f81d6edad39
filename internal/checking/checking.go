// Package checking loads specs, finds the recordings that they are about, judges them
// and prints how they came out: what pyrr check and pyrr accept do.
//
// It never judges by itself: package assert does. Begin with Flags and Check.
package checking

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"pyrr/assert"
	"pyrr/internal/cli"
	"pyrr/internal/digest"
	"pyrr/internal/facts"
	"pyrr/internal/find"
	"pyrr/internal/hint"
	"pyrr/internal/printable"
	"pyrr/internal/report"
	"pyrr/internal/screen"
)

// Flags are the flags of pyrr check.
type Flags struct {
	Verbose, FailFast, Update, Lenient, Collect bool
	Github                                      bool
	LastFailed, InCI, Schema                    bool
	Keyword, Shard                              string
	Tags                                        []string
	Workers                                     int
	From                                        []string
	PlainHTTP                                   bool
	remote                                      *fromRegistry // of from
	forms                                       []asked
}

// asked is a form of the results, and how it was asked for.
type asked struct {
	report.Form
	print bool
	file  string
}

// FormFlags declares the flags of the forms of results.
func (f *Flags) FormFlags(fs *pflag.FlagSet) {
	forms := report.Forms()
	f.forms = make([]asked, len(forms))
	for i, form := range forms {
		a := &f.forms[i]
		a.Form = form
		if form.File {
			fs.StringVar(&a.file, form.Flag, "", form.Help)
		} else {
			fs.BoolVar(&a.print, form.Flag, false, form.Help)
		}
	}
}

// writeForms writes the files of the forms: all that are asked for, or of those the
// ones that are written after each spec.
func (f *Flags) writeForms(run *assert.Run, often bool) error {
	for _, a := range f.forms {
		if a.file == "" || often && !a.Often {
			continue
		}
		if err := digest.WriteWhole(a.file, func(w io.Writer) error { return a.Write(w, run, f.Lenient) }); err != nil {
			return fmt.Errorf("write the file of --%s: %w", a.Flag, err)
		}
	}
	return nil
}

func Check(ctx context.Context, u *screen.UI, f *Flags, args []string) error {
	if f.Schema {
		_, err := u.Out.Write(assert.Schema)
		return err
	}
	specs, err := LoadSpecs("check", f, args)
	if err != nil {
		return err
	}
	if err := f.listFrom(ctx, u); err != nil {
		return err
	}
	all := len(specs)
	if specs, err = f.part(specs); err != nil {
		return err
	}
	if len(specs) == 0 && all > 0 {
		u.Note("part %s holds no recording of the %s: other parts check them", f.Shard, printable.Plural(uint64(all), "spec", "specs"))
		return printRun(u, f, &assert.Run{})
	}
	if len(specs) == 0 {
		u.Note("there is no spec to check")
		return cli.Status(cli.ExitNothing)
	}
	if f.Collect {
		for _, s := range specs {
			listChecks(u, s)
		}
		return nil
	}
	if f.Update {
		if err := mayAccept(f); err != nil {
			return err
		}
	}
	run, err := runChecks(ctx, u, f, specs)
	if err != nil {
		return err
	}
	if f.Update {
		written, err := AcceptGoldens(u, run, assert.AcceptOptions{Moved: true, InCI: f.InCI})
		if err != nil {
			return err
		}
		if written {
			// What is reported is how things stand now.
			if run, err = runChecks(ctx, u, f, specs); err != nil {
				return err
			}
		}
	}
	rememberFailed(u, run)
	if err := printRun(u, f, run); err != nil {
		return err
	}
	return OutcomeStatus(run, f.Lenient)
}

// printRun prints the result in all forms that are asked for.
func printRun(u *screen.UI, f *Flags, run *assert.Run) error {
	if err := f.writeForms(run, false); err != nil {
		return err
	}
	if file := os.Getenv("GITHUB_STEP_SUMMARY"); f.Github && file != "" {
		if err := appendSummary(file, run); err != nil {
			u.Warn(err.Error())
		}
	}
	for _, a := range f.forms {
		switch {
		case a.print && a.JSON:
			return a.Write(screen.NewJSONWriter(u.Out), run, f.Lenient)
		case a.print:
			return a.Write(u.Out, run, f.Lenient)
		}
	}
	if err := report.Terminal(u.Out, run, report.Options{Colour: u.ColourOut, Durations: true, Verbose: f.Verbose}); err != nil {
		return err
	}
	if f.Github {
		return report.GitHub(u.Commands(), run, f.Lenient)
	}
	return nil
}

func runChecks(ctx context.Context, u *screen.UI, f *Flags, specs []*assert.Spec) (*assert.Run, error) {
	u.Status("checking %s", printable.Plural(uint64(len(specs)), "spec", "specs"))
	defer u.ClearStatus()
	partial := &assert.Run{}
	mine, err := f.mine()
	if err != nil {
		return nil, err
	}
	return assert.Check(ctx, specs, f.open, assert.Options{
		Find:       f.find,
		Mine:       mine,
		SourceText: NewSourceLines().Line,
		Record:     recordForSpec(u),
		Workers:    f.Workers,
		FailFast:   f.FailFast,
		Done: func(done, total int, results []*assert.SpecResult) {
			if slices.ContainsFunc(f.forms, func(a asked) bool { return a.Often && a.file != "" }) {
				addResults(partial, specs, results)
				if err := f.writeForms(partial, true); err != nil {
					u.Warn(err.Error())
				}
			}
			u.Status("checked %d of %s", done, printable.Plural(uint64(total), "recording", "recordings"))
		},
	})
}

// OutcomeStatus turns the result of the checks into an exit status.
func OutcomeStatus(run *assert.Run, lenient bool) error {
	switch run.Outcome() {
	case assert.OutcomePass:
		return nil
	case assert.OutcomeFail:
		return cli.Status(cli.ExitFailed)
	case assert.OutcomeBroken:
		return cli.Status(cli.ExitUsage)
	case assert.OutcomeUnjudged:
		if lenient {
			return nil
		}
		return cli.Status(cli.ExitUnjudged)
	default:
		return cli.Status(cli.ExitNothing)
	}
}

// LoadSpecs reads the specs that the arguments name and the flags choose.
func LoadSpecs(command string, f *Flags, args []string) ([]*assert.Spec, error) {
	if len(args) == 0 {
		if _, err := os.Stat(DefaultSpecs); err != nil {
			return nil, hint.With(hint.Usagef("%s: name a spec; there is no folder %s here", command, DefaultSpecs), "pyrr "+command+" SPEC.yaml")
		}
		args = []string{DefaultSpecs}
	}
	var all []*assert.Spec
	var errs []error
	for _, a := range args {
		if err := notSpec(command, a); err != nil {
			return nil, err
		}
		specs, err := assert.Load(a)
		all = append(all, specs...)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, hint.Usagef("%s", command+": "+err.Error())
	}
	return slices.DeleteFunc(all, func(s *assert.Spec) bool { return !f.chooses(s) }), nil
}

func (f *Flags) chooses(s *assert.Spec) bool {
	if f.Keyword != "" && !strings.Contains(s.ID()+" "+s.Name, f.Keyword) {
		return false
	}
	return len(f.Tags) == 0 || slices.ContainsFunc(f.Tags, func(tag string) bool { return slices.Contains(s.Tags, tag) })
}

func listChecks(u *screen.UI, s *assert.Spec) {
	fmt.Fprintln(u.Out, printable.Line(s.ID()))
	for _, e := range s.Expect {
		fmt.Fprintf(u.Out, "  %s\n", printable.Line(e.Text))
	}
	for _, g := range s.Golden {
		fmt.Fprintf(u.Out, "  %s\n", printable.Line(g.Name()))
	}
}

// AcceptGoldens writes the goldens that differ and says which.
func AcceptGoldens(u *screen.UI, run *assert.Run, opts assert.AcceptOptions) (written bool, err error) {
	files, err := assert.Accept(run, opts)
	for _, a := range files {
		word := "updated"
		if a.Created {
			word = "created"
		}
		u.Note("%s %s", word, a.File)
	}
	if err != nil {
		return false, hint.Usagef("%s", err.Error())
	}
	if len(files) == 0 {
		u.Note("no golden had to change")
	}
	return len(files) > 0, nil
}

// sourceLines gives lines of Python's source files on this machine, each file
// read once. It is fit for several goroutines. A recording names the files, and
// may name any, so others than NAME.py are not read.
type sourceLines struct {
	mu    sync.Mutex
	files map[string][]string
}

// Line implements stack.SourceText.
func (s *sourceLines) Line(file string, n int) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines, known := s.files[file]
	if !known {
		if st, err := os.Stat(file); filepath.Ext(file) == ".py" && err == nil && st.Mode().IsRegular() && st.Size() <= maxSource {
			if b, err := os.ReadFile(file); err == nil {
				for l := range bytes.Lines(b) {
					lines = append(lines, strings.TrimRight(string(l), "\r\n"))
				}
			}
		}
		s.files[file] = lines
	}
	if n < 1 || n > len(lines) {
		return "", false
	}
	return lines[n-1], true
}

// DefaultSpecs is the folder that is checked when none is named.
const DefaultSpecs = "specs"

// maxSource is the size from which on a source file is not read.
const maxSource = 8 << 20

func NewSourceLines() *sourceLines { return &sourceLines{files: map[string][]string{}} }

// OpenSource opens a recording for the checks; it is an assert.Opener.
func OpenSource(path string) (assert.Source, error) {
	rec, err := find.Open("check", path)
	if err != nil {
		return nil, err
	}
	return facts.New(rec, nil), nil
}
