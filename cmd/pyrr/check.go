package main

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
	"pyrr/internal/hint"
	"pyrr/internal/printable"
	"pyrr/internal/report"
	"pyrr/internal/screen"
)

// checkFlags are the flags of pyrr check.
type checkFlags struct {
	verbose, failFast, update, lenient, collect bool
	json, github, tap                           bool
	lastFailed, inCI, schema                    bool
	keyword, junit, html, shard                 string
	tags                                        []string
	workers                                     int
	from                                        []string
	plainHTTP                                   bool
	remote                                      *fromRegistry // of from
}

// defaultSpecs is the folder that is checked when none is named.
const defaultSpecs = "specs"

func checkCommand() *cli.Command {
	return &cli.Command{
		Name:     "check",
		Synopsis: "[-v] [-x] [-k TEXT] [-m TAG,…] [--lf] [-n N] [--shard I/N]\n[--from oci://NAME]… [--collect-only] [--update] [--allow-inconclusive]\n[--json|--tap] [--junitxml FILE] [--html FILE] [--github] [SPEC…]",
		Short:    "hold recordings against specs",
		Long: `A spec is a YAML file that names recordings and says what must be true of
them, in sentences such as

  - recv at urllib3/connection.py:504 within 20000 instructions of connect

and by stacks that are kept in files, the goldens. SPEC is a file or a folder
(by default specs, or what the project's settings name). Each recording is
opened once, and replayed where stacks are needed. What can't be judged, because
a recording is cut or diverges, is not a pass: it ends with 3, unless
--allow-inconclusive is given.`,
		Examples: []cli.Example{
			{"pyrr check", "all of specs"},
			{"pyrr check -v specs/pool_read.yaml", "one, with the checks that hold"},
			{"pyrr check --junitxml out.xml", "for a CI that reads JUnit"},
			{"pyrr check -n 2 --html check.html", "two recordings at once, and a page to look at"},
			{"pyrr check --shard 3/10", "the third of ten parts, for a CI with ten jobs"},
			{"pyrr check --from oci://registry.example/team/app:run-81", "recordings that are in a registry"},
			{"pyrr check --schema >pyrr.schema.json", "completion for editors"},
		},
		Exits: []cli.Exit{
			{"0", "all hold"},
			{"1", "an expectation failed"},
			{"2", "usage error, or a mistake in a spec or golden"},
			{"3", "something could not be judged"},
			{"4", "this machine can't replay; the reason was printed"},
			{"5", "there was nothing to check"},
			{"130", "interrupted"},
		},
		Operand:  "spec",
		Settings: map[string]string{"specs": "default-specs"},
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			var f checkFlags
			fs.BoolVarP(&f.verbose, "verbose", "v", false, "show the checks that hold, too")
			fs.BoolVarP(&f.failFast, "exitfirst", "x", false, "stop at the first recording that fails")
			fs.StringVarP(&f.keyword, "keyword", "k", "", "only specs whose file, name or case holds `TEXT`")
			fs.StringSliceVarP(&f.tags, "tag", "m", nil, "only specs with one of these `tags`")
			fs.BoolVar(&f.collect, "collect-only", false, "list the checks without making them")
			fs.BoolVar(&f.lastFailed, "lf", false, "only the specs that failed the last time, all if none did")
			fs.StringVar(&f.shard, "shard", "", "only the recordings of part I of N, as `I/N`, by their names")
			fs.StringArrayVar(&f.from, "from", nil, "find the recordings that specs name in the registry, by `NAME`:\noci://REGISTRY/OWNER/REPO:TAG; again for more")
			fs.BoolVar(&f.plainHTTP, "plain-http", false, "speak HTTP without TLS to a registry elsewhere, too")
			fs.BoolVar(&f.update, "update", false, "rewrite the goldens that differ; refused where CI is set")
			fs.BoolVar(&f.inCI, "in-ci", false, "let --update write even where CI is set")
			fs.BoolVar(&f.json, "json", false, "print JSON")
			fs.BoolVar(&f.tap, "tap", false, "print the Test Anything Protocol, version 14")
			fs.StringVar(&f.junit, "junitxml", "", "write the results to `FILE` as JUnit XML, too, after each spec")
			fs.StringVar(&f.html, "html", "", "write one HTML `FILE`, too")
			fs.BoolVar(&f.schema, "schema", false, "print the JSON Schema of specs, for editors")
			fs.BoolVar(&f.github, "github", os.Getenv("GITHUB_ACTIONS") == "true", "print annotations for GitHub Actions, too (the default there)")
			fs.IntVarP(&f.workers, "jobs", "n", 1, "judge `N` recordings at once")
			fs.BoolVar(&f.lenient, "allow-inconclusive", false, "let what can not be judged pass")
			specs := fs.String("default-specs", defaultSpecs, "the folder that is checked when none is named")
			if err := fs.MarkHidden("default-specs"); err != nil {
				panic(err) // declared above
			}
			return func(ctx context.Context, u *screen.UI, args []string) error {
				if len(args) == 0 && fs.Changed("default-specs") {
					args = []string{*specs}
				}
				return check(ctx, u, &f, args)
			}
		},
	}
}

func check(ctx context.Context, u *screen.UI, f *checkFlags, args []string) error {
	if f.schema {
		_, err := u.Out.Write(assert.Schema)
		return err
	}
	specs, err := loadSpecs("check", f, args)
	if err != nil {
		return err
	}
	if err := f.listFrom(ctx, u); err != nil {
		return err
	}
	if specs, err = f.part(specs); err != nil {
		return err
	}
	if len(specs) == 0 {
		u.Note("there is no spec to check")
		return cli.Status(cli.ExitNothing)
	}
	if f.collect {
		for _, s := range specs {
			listChecks(u, s)
		}
		return nil
	}
	if f.update {
		if err := mayAccept(f); err != nil {
			return err
		}
	}
	run, err := runChecks(ctx, u, f, specs)
	if err != nil {
		return err
	}
	if f.update {
		written, err := acceptGoldens(u, run, assert.AcceptOptions{Moved: true, InCI: f.inCI})
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
	return outcomeStatus(run, f.lenient)
}

// printRun prints the result in all forms that are asked for.
func printRun(u *screen.UI, f *checkFlags, run *assert.Run) error {
	if f.junit != "" {
		if err := writeJUnit(f, run); err != nil {
			return err
		}
	}
	if f.html != "" {
		if err := digest.WriteWhole(f.html, func(w io.Writer) error { return report.HTML(w, run) }); err != nil {
			return fmt.Errorf("write HTML: %w", err)
		}
	}
	if file := os.Getenv("GITHUB_STEP_SUMMARY"); f.github && file != "" {
		if err := appendSummary(file, run); err != nil {
			u.Warn(err.Error())
		}
	}
	switch {
	case f.json:
		return report.JSON(screen.NewJSONWriter(u.Out), run)
	case f.tap:
		return report.TAP(u.Out, run, f.lenient)
	}
	if err := report.Terminal(u.Out, run, report.Options{Colour: u.ColourOut, Durations: true, Verbose: f.verbose}); err != nil {
		return err
	}
	if f.github {
		return report.GitHub(u.Commands(), run, f.lenient)
	}
	return nil
}

func runChecks(ctx context.Context, u *screen.UI, f *checkFlags, specs []*assert.Spec) (*assert.Run, error) {
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
		SourceText: newSourceLines().line,
		Record:     recordForSpec(u),
		Workers:    f.workers,
		FailFast:   f.failFast,
		Done: func(done, total int, results []*assert.SpecResult) {
			if f.junit != "" {
				addResults(partial, specs, results)
				if err := writeJUnit(f, partial); err != nil {
					u.Warn(err.Error())
				}
			}
			u.Status("checked %d of %s", done, printable.Plural(uint64(total), "recording", "recordings"))
		},
	})
}

// outcomeStatus turns the result of the checks into an exit status.
func outcomeStatus(run *assert.Run, lenient bool) error {
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

// loadSpecs reads the specs that the arguments name and the flags choose.
func loadSpecs(command string, f *checkFlags, args []string) ([]*assert.Spec, error) {
	if len(args) == 0 {
		if _, err := os.Stat(defaultSpecs); err != nil {
			return nil, hint.With(hint.Usagef("%s: name a spec; there is no folder %s here", command, defaultSpecs), "pyrr "+command+" SPEC.yaml")
		}
		args = []string{defaultSpecs}
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

func (f *checkFlags) chooses(s *assert.Spec) bool {
	if f.keyword != "" && !strings.Contains(s.ID()+" "+s.Name, f.keyword) {
		return false
	}
	return len(f.tags) == 0 || slices.ContainsFunc(f.tags, func(tag string) bool { return slices.Contains(s.Tags, tag) })
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

// acceptGoldens writes the goldens that differ and says which.
func acceptGoldens(u *screen.UI, run *assert.Run, opts assert.AcceptOptions) (written bool, err error) {
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

// maxSource is the size from which on a source file is not read.
const maxSource = 8 << 20

func newSourceLines() *sourceLines { return &sourceLines{files: map[string][]string{}} }

// line implements stack.SourceText.
func (s *sourceLines) line(file string, n int) (string, bool) {
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
