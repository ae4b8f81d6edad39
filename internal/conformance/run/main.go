// Command run measures conformance; see package conformance.
//
//	run corpus [--all] [--failed] [FILE…]           CPython's regression tests (of a list, by default the short one)
//	run soak   [-n PAIRS] [--chaos] [--only TEXTS]  fixtures, recorded and replayed in a loop
//	run report                                      docs/conformance.md again, from the kept results
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"pyrr/internal/conformance"
)

type options struct {
	repo, pyrr, python, root, state, build, bad string
	all, failed, keep, chaos                    bool
	pairs, jobs                                 int
	limit                                       time.Duration
	recordFlags, only                           []string
}

func main() {
	var o options
	pflag.StringVar(&o.repo, "repo", ".", "the repository's `folder`")
	pflag.StringVar(&o.pyrr, "pyrr", "bin/pyrr", "the `binary`")
	pflag.StringVar(&o.build, "build", "", "soak: the `commit` of the binary, for the table")
	pflag.StringVar(&o.python, "python", "/usr/bin/python3.11", "the interpreter whose regression tests run")
	pflag.StringVar(&o.root, "root", "", "corpus: the `folder` that is the interpreter's root (default: the machine's own)")
	pflag.StringVar(&o.state, "state", "", "`file` of interim results, to continue from (default: none)")
	pflag.StringVar(&o.bad, "bad", "", "a `folder` for the recordings that differ from the native run or from their replay (default: they are removed)")
	pflag.StringSliceVar(&o.only, "only", nil, "soak: only fixtures whose INTERPRETER/NAME holds one of these `texts`")
	pflag.BoolVar(&o.all, "all", false, "corpus: all files")
	pflag.BoolVar(&o.failed, "failed", false, "corpus: only what the kept results don't show as good")
	pflag.BoolVar(&o.keep, "keep", false, "corpus and soak: keep the results, and write docs/conformance.md")
	pflag.BoolVar(&o.chaos, "chaos", false, "soak: every pair with --chaos, not one in three")
	pflag.IntVarP(&o.pairs, "pairs", "n", 1000, "soak: how many pairs; 0 for one of each fixture")
	pflag.IntVarP(&o.jobs, "jobs", "j", 1, "soak: how many pairs at once")
	pflag.DurationVar(&o.limit, "limit", 5*time.Minute, "corpus: time limit of a native run")
	pflag.StringSliceVar(&o.recordFlags, "record-flags", nil, "further flags of pyrr record")
	pflag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, pflag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "conformance: error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, args []string) error {
	if len(args) == 0 {
		return errors.New("want corpus, soak or report")
	}
	switch args[0] {
	case "corpus":
		return o.corpus(ctx, args[1:])
	case "soak":
		return o.soak(ctx)
	case "report":
		return o.report()
	}
	return fmt.Errorf("unknown command %q: want corpus, soak or report", args[0])
}

// trial makes the trial with a copy of the binary, so that a new build does not
// change what is measured half-way.
func (o options) trial() (*conformance.Trial, func(), error) {
	dir, err := os.MkdirTemp("", "pyrr-c-")
	if err != nil {
		return nil, nil, err
	}
	data, err := os.ReadFile(o.pyrr)
	if err != nil {
		return nil, nil, fmt.Errorf("read the binary (make build makes it): %w", err)
	}
	binary := filepath.Join(dir, "pyrr")
	if err := os.WriteFile(binary, data, 0o755); err != nil {
		return nil, nil, err
	}
	t := &conformance.Trial{Pyrr: binary, Flags: o.recordFlags, Scratch: dir, Bad: o.bad, Isolate: conformance.CanIsolate()}
	return t, func() { os.RemoveAll(dir) }, nil
}

func (o options) corpus(ctx context.Context, files []string) error {
	corpus := conformance.Corpus{Python: o.python, Root: o.root, Limit: o.limit}
	if _, err := corpus.Version(ctx); err != nil {
		return err
	}
	kept, err := conformance.ReadKept(o.repo)
	if err != nil {
		return err
	}
	switch {
	case o.all:
		files, err = corpus.Files(ctx)
	case o.failed:
		for _, r := range kept.Corpus {
			if r.Native == conformance.Pass && !r.Good() {
				files = append(files, r.Name)
			}
		}
	case len(files) == 0:
		files, err = conformance.Short(o.repo)
	}
	if err != nil {
		return err
	}
	var done []conformance.Row
	if o.state != "" {
		if done, err = conformance.ReadRows(o.state); err != nil {
			return err
		}
	}
	t, clean, err := o.trial()
	if err != nil {
		return err
	}
	defer clean()
	for i, file := range files {
		if slices.ContainsFunc(done, func(r conformance.Row) bool { return r.Name == file }) {
			continue
		}
		row, err := t.Run(ctx, corpus.Case(file))
		if err != nil {
			return err
		}
		done = append(done, row)
		fmt.Printf("%3d/%d %-28s %-5s %-10s %-10s %6.1f %6.1f %6.1f  %s\n", i+1, len(files), row.Name, row.Native, row.Record,
			row.Replay, row.NativeSeconds, row.RecordSeconds, row.ReplaySeconds, row.Detail)
		if o.state != "" {
			if err := conformance.WriteRows(o.state, done); err != nil {
				return err
			}
		}
	}
	c := conformance.Count(done, kept.Causes)
	fmt.Printf("%d tried, %d the same, %d exact, %d both\n", c.Tried, c.Same, c.Exact, c.Good)
	if !o.keep {
		return nil
	}
	return o.save(merge(kept.Corpus, done))
}

// merge puts new rows in place of kept ones of the same name.
func merge(kept, done []conformance.Row) []conformance.Row {
	for _, r := range kept {
		if !slices.ContainsFunc(done, func(d conformance.Row) bool { return d.Name == r.Name }) {
			done = append(done, r)
		}
	}
	slices.SortFunc(done, func(a, b conformance.Row) int { return strings.Compare(a.Name, b.Name) })
	return done
}

func (o options) save(rows []conformance.Row) error {
	if err := conformance.WriteRows(filepath.Join(o.repo, conformance.Data, "corpus.tsv"), rows); err != nil {
		return err
	}
	return o.report()
}

func (o options) soak(ctx context.Context) error {
	dir, err := filepath.Abs(filepath.Join(o.repo, "fixtures"))
	if err != nil {
		return err
	}
	cases, err := conformance.FixtureCases(ctx, o.repo, dir)
	if err != nil {
		return err
	}
	cases = slices.DeleteFunc(cases, func(c conformance.Case) bool {
		holds := func(text string) bool { return strings.Contains(c.Name, text) }
		return len(o.only) > 0 && !slices.ContainsFunc(o.only, holds)
	})
	if len(cases) == 0 {
		return errors.New("no fixture to run")
	}
	if o.pairs == 0 {
		o.pairs = len(cases)
	}
	t, clean, err := o.trial()
	if err != nil {
		return err
	}
	defer clean()
	var rows []conformance.SoakRow
	if o.state != "" {
		if rows, err = conformance.ReadSoak(o.state); err != nil {
			return err
		}
	}
	run := conformance.NewSoak(cases, rows, o.pairs)
	run.Build, run.Chaos = o.build, o.chaos
	var bad []string // what the last lines name: of a long log often only the end is kept
	run.Report = func(n int, row conformance.Row, rows []conformance.SoakRow) error {
		switch {
		case row.Native != conformance.Pass:
			fmt.Printf("%5d %s: %s without pyrr: %s\n", n, row.Name, row.Native, row.Detail)
		case !row.Good():
			bad = append(bad, fmt.Sprintf("%s: recorded %s, replayed %s: %s", row.Name, row.Record, row.Replay, row.Detail))
			fmt.Printf("%5d %s\n", n, bad[len(bad)-1])
		case n%100 == 0:
			fmt.Printf("%5d pairs, %d bad\n", n, run.Bad)
		}
		if o.state == "" {
			return nil
		}
		return conformance.WriteSoak(o.state, rows)
	}
	if rows, err = run.Go(ctx, t, o.jobs); err != nil {
		return err
	}
	fmt.Printf("%d pairs, %d with a difference, %d native runs failed\n", run.Done, run.Bad, run.Failed)
	if o.keep {
		path := filepath.Join(o.repo, conformance.Data, "soak.tsv")
		kept, err := conformance.ReadSoak(path)
		if err == nil {
			err = conformance.WriteSoak(path, conformance.MergeSoak(kept, rows))
		}
		if err != nil {
			return err
		}
		if err := o.report(); err != nil {
			return err
		}
	}
	if run.Bad > 0 {
		return fmt.Errorf("%d of %d pairs differ:\n%s", run.Bad, run.Done, strings.Join(bad, "\n"))
	}
	if run.Done < o.pairs {
		return fmt.Errorf("only %d of %d pairs, since native runs failed", run.Done, o.pairs)
	}
	return nil
}

func (o options) report() error {
	kept, err := conformance.ReadKept(o.repo)
	if err != nil {
		return err
	}
	path := filepath.Join(o.repo, conformance.Document)
	if err := os.WriteFile(path, []byte(conformance.Report(kept)), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
