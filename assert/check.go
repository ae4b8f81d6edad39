package assert

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"pyrr/internal/stack"
)

// Options says how Check works.
type Options struct {
	// SourceText gives lines of the program's source files, for goldens. It
	// may be nil and must be fit for several goroutines.
	SourceText stack.SourceText
	// Record runs a spec's command and returns the path of the fresh
	// recording and a function that removes it. Nil: such specs can't be
	// judged.
	Record func(ctx context.Context, dir string, c RecordCommand) (path string, remove func(), err error)
	// Find lists the recordings that a spec names; nil for Recordings.
	Find func(s *Spec) ([]string, error)
	// Mine says whether a recording is to be judged here; nil for all. A spec of
	// which none is has no result.
	Mine func(path string) bool
	// Workers is how many recordings are judged at once, at least 1.
	Workers int
	// FailFast ends the check after the first recording with a failure.
	FailFast bool
	// Done is called after each recording, from one goroutine at a time.
	Done func(done, total int, results []*SpecResult)
}

// job is one recording with the specs that name it.
type job struct {
	path    string // "" for none
	specs   []*Spec
	at      []int // place of each spec's result
	results []*SpecResult
}

// Check holds the recordings that the specs name against them. Each
// recording is opened once. The error is that of a broken run, such as a
// cancelled context; what can't be judged is in the results.
func Check(ctx context.Context, specs []*Spec, open Opener, opts Options) (*Run, error) {
	start := time.Now()
	run := &Run{}
	jobs := plan(run, specs, opts)
	if err := work(ctx, jobs, open, opts); err != nil {
		return nil, err
	}
	collect(run, jobs)
	run.Unused = UnusedGoldens(specs)
	run.Elapsed = time.Since(start)
	return run, nil
}

// collect puts the results of the jobs in their places. A spec whose test is
// in none of its recordings has one result that says so; jobs that were not
// reached leave none.
func collect(run *Run, jobs []*job) {
	results := map[*Spec]int{}
	for _, j := range jobs {
		applied := false
		for k, r := range j.results {
			if r != nil {
				run.Specs[j.at[k]] = r
				results[r.Spec]++
				applied = true
			}
		}
		if j.results != nil && !applied {
			run.Unmatched = append(run.Unmatched, j.path)
		}
	}
	for _, j := range jobs {
		for k, r := range j.results {
			if s := j.specs[k]; r == nil && results[s] == 0 {
				results[s]++
				r := run.Specs[j.at[k]]
				r.Verdict, r.Recording, r.Reason = Unjudged, s.Path(s.Recording), "no recording holds the test "+s.Test
			}
		}
	}
	run.Specs = slices.DeleteFunc(run.Specs, func(r *SpecResult) bool { return r.Verdict == "" })
}

// plan gathers the specs by recording and makes room for their results, in
// the order of the specs.
func plan(run *Run, specs []*Spec, opts Options) []*job {
	find := opts.Find
	if find == nil {
		find = Recordings
	}
	var jobs []*job
	byPath := map[string]*job{}
	for _, s := range specs {
		if s.Record != nil {
			jobs = append(jobs, &job{specs: []*Spec{s}, at: []int{len(run.Specs)}})
			run.Specs = append(run.Specs, &SpecResult{Spec: s})
			continue
		}
		paths, err := find(s)
		if err != nil || len(paths) == 0 {
			reason := "no recording is called " + s.Path(s.Recording)
			if err != nil {
				reason = err.Error()
			}
			run.Specs = append(run.Specs, &SpecResult{Spec: s, Recording: s.Path(s.Recording), Verdict: Unjudged, Reason: reason})
			continue
		}
		for _, p := range paths {
			if opts.Mine != nil && !opts.Mine(p) {
				continue
			}
			key := p
			if abs, err := filepath.Abs(p); err == nil {
				key = abs
			}
			j := byPath[key]
			if j == nil {
				j = &job{path: p}
				byPath[key] = j
				jobs = append(jobs, j)
			}
			j.specs, j.at = append(j.specs, s), append(j.at, len(run.Specs))
			run.Specs = append(run.Specs, &SpecResult{Spec: s, Recording: p})
		}
	}
	return jobs
}

// Recordings lists the files that a spec names, sorted.
func Recordings(s *Spec) ([]string, error) {
	p := s.Path(s.Recording)
	if !strings.ContainsAny(s.Recording, `*?[`) {
		if _, err := os.Stat(p); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return []string{p}, nil
	}
	found, err := filepath.Glob(p)
	if err != nil {
		return nil, fmt.Errorf("recording %s: %w", s.Recording, err)
	}
	slices.Sort(found)
	return found, nil
}

// work judges the jobs, several at once.
func work(ctx context.Context, jobs []*job, open Opener, opts Options) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	done := 0
	queue := make(chan *job)
	var wg sync.WaitGroup
	for range max(1, min(opts.Workers, len(jobs))) {
		wg.Go(func() {
			for j := range queue {
				if ctx.Err() != nil {
					continue
				}
				j.results = j.run(ctx, open, opts)
				mu.Lock()
				done++
				if opts.Done != nil {
					opts.Done(done, len(jobs), j.results)
				}
				if opts.FailFast && slices.ContainsFunc(j.results, func(r *SpecResult) bool { return r != nil && r.Failed() }) {
					cancel(errFailFast)
				}
				mu.Unlock()
			}
		})
	}
	for _, j := range jobs {
		queue <- j
	}
	close(queue)
	wg.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, errFailFast) {
		return fmt.Errorf("check: %w", err)
	}
	return nil
}

var errFailFast = errors.New("a check failed")

// name is what reports call the recording. A fresh one is gone after the
// check.
func (j *job) name() string {
	if r := j.specs[0].Record; r != nil {
		return "a fresh recording of " + r.Run
	}
	return j.path
}

// run judges all specs of one recording.
func (j *job) run(ctx context.Context, open Opener, opts Options) []*SpecResult {
	start := time.Now()
	out := make([]*SpecResult, len(j.specs))
	all := func(v Verdict, format string, args ...any) []*SpecResult {
		for i, s := range j.specs {
			out[i] = &SpecResult{Spec: s, Recording: j.name(), Verdict: v, Reason: fmt.Sprintf(format, args...), Elapsed: time.Since(start)}
		}
		return out
	}
	if j.path == "" {
		if opts.Record == nil {
			return all(Unjudged, "needs to record a command, which was not allowed here")
		}
		s := j.specs[0]
		path, remove, err := opts.Record(ctx, filepath.Dir(s.File), *s.Record)
		if err != nil {
			return all(Unjudged, "the command could not be recorded: %v", err)
		}
		if remove != nil {
			defer remove()
		}
		j.path = path
	}
	src, err := open(j.path)
	if err != nil {
		return all(Unjudged, "%v", err)
	}
	defer src.Close()
	if err := j.judge(ctx, src, opts, out, start); err != nil {
		all(Unjudged, "%v", err)
		if d, ok := errors.AsType[*Divergence](err); ok {
			for _, r := range out {
				r.Divergence = d
			}
		}
	}
	return out
}

// judge fills in the results of the specs that apply to the recording.
func (j *job) judge(ctx context.Context, src Source, opts Options, out []*SpecResult, start time.Time) error {
	info := src.Info()
	if info.Err != nil { // nor is it known whether a spec is about it
		return info.Err
	}
	judges, wants := j.choose(&info, out)
	if !slices.ContainsFunc(judges, func(jd *judge) bool { return jd != nil }) {
		return nil
	}
	t, st, events, err := wants.timeline(src, info)
	if err != nil {
		return err
	}
	for i, jd := range judges {
		if jd != nil {
			judges[i] = newJudge(t, jd.spec)
		}
	}
	if err := rounds(ctx, judges, t, src, wants.c); err != nil {
		return err
	}
	var endStacks []Stacks
	if wants.ends {
		if endStacks, err = src.EndStacks(wants.c); err != nil {
			return err
		}
	}
	for i, jd := range judges {
		if jd == nil {
			continue
		}
		r := out[i]
		r.Events = events
		for _, e := range jd.spec.Expect {
			r.Checks = append(r.Checks, jd.result(e))
		}
		for _, g := range jd.spec.Golden {
			at := endStacks
			if g.Tasks != "" {
				at = st.Tasks
			}
			r.Checks = append(r.Checks, jd.goldenResult(g, at, textOf(src, opts.SourceText)))
		}
		r.settle(st)
		r.Elapsed = time.Since(start)
	}
	return nil
}

// wanted is what specs need to know of a recording.
type wanted struct {
	ends     bool // the stacks at the end
	c        bool // C functions
	state    bool // who waits for whom
	executed []*EventPattern
}

// choose finds the specs that are about a recording, the others have no judge, and what
// they need.
func (j *job) choose(info *Info, out []*SpecResult) (judges []*judge, w wanted) {
	judges = make([]*judge, len(j.specs))
	for i, s := range j.specs {
		if s.Test != "" && !slices.ContainsFunc(info.Tests, func(have string) bool { return testMatches(s.Test, have) }) {
			continue
		}
		out[i] = &SpecResult{Spec: s, Recording: j.name()}
		if why := s.Requires.unmet(info); why != "" {
			out[i].Verdict, out[i].Reason = Skip, why
			continue
		}
		judges[i] = &judge{spec: s}
		w.executed = append(w.executed, s.executed()...)
		w.c = w.c || s.needsC()
		w.ends = w.ends || slices.ContainsFunc(s.Golden, func(g *Golden) bool { return g.AtEnd() && g.Tasks == "" })
		w.state = w.state || s.needsState()
	}
	return judges, w
}

// timeline reads what is wanted of a recording. events is how many it has.
func (w *wanted) timeline(src Source, info Info) (t *timeline, st *State, events int, err error) {
	noExecution := ""
	if len(w.executed) > 0 {
		// Where it can't be executed the rest is judged all the same, but not
		// where it diverges.
		if err := src.Execute(w.executed, w.c); err != nil {
			if _, ok := errors.AsType[*Divergence](err); ok {
				return nil, nil, 0, err
			}
			noExecution = err.Error()
		}
	}
	read, err := src.Events()
	if err != nil {
		return nil, nil, 0, err
	}
	st = &State{}
	if w.state {
		if st, err = src.State(); err != nil {
			if _, ok := errors.AsType[*Divergence](err); ok {
				return nil, nil, 0, err
			}
			st = &State{Unknown: err.Error()}
		}
	}
	t = newTimeline(info, append(slices.Clip(read), st.Events...))
	for i := range st.Stacks {
		t.stacks[len(read)+i] = st.Stacks[i]
	}
	t.noExecution, t.noState = noExecution, st.Unknown
	return t, st, len(read), nil
}

// textOf takes source text from the recording, and what it lacks from this
// machine.
func textOf(src Source, here stack.SourceText) stack.SourceText {
	return func(file string, line int) (string, bool) {
		if text, ok := src.SourceText(file, line); ok || here == nil {
			return text, ok
		}
		return here(file, line)
	}
}

// rounds judges until no more stacks are needed. All judges ask together, so
// that one pass over the recording serves them all.
func rounds(ctx context.Context, judges []*judge, t *timeline, src Source, c bool) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		var wants []int
		for _, jd := range judges {
			if jd != nil {
				wants = append(wants, jd.round()...)
			}
		}
		if len(wants) == 0 {
			return nil
		}
		if err := t.fetch(src, wants, c); err != nil {
			return err
		}
	}
}

// testMatches takes a pytest id with or without its parameters.
func testMatches(want, have string) bool {
	if want == have {
		return true
	}
	bare, _, ok := strings.Cut(have, "[")
	return ok && bare == want
}
