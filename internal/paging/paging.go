// Package paging gathers what the page about a recording shows: its reason, what differs
// from one that passed, moments, results of checks.
//
// It makes no HTML: package page does. Begin with Flags and Write.
package paging

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pyrr/internal/compare"
	"pyrr/internal/contents"
	"pyrr/internal/digest"
	"pyrr/internal/facts"
	"pyrr/internal/find"
	"pyrr/internal/hang"
	"pyrr/internal/hint"
	"pyrr/internal/listing"
	"pyrr/internal/logview"
	"pyrr/internal/moments"
	"pyrr/internal/page"
	"pyrr/internal/printable"
	"pyrr/internal/probe"
	"pyrr/internal/reason"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/show"
	"pyrr/internal/stack"
	"pyrr/replay"
)

type Flags struct {
	Out, Unlike, Variables, Specs string
	Events                        int
}

func Write(u *screen.UI, f *Flags, args []string) error {
	if f.Events < 1 {
		return hint.Usagef("--events takes a number from 1 on, not %d", f.Events)
	}
	if !slices.Contains([]string{"auto", "always", "never"}, f.Variables) {
		return hint.Usagef("--variables takes auto, always or never, not %q", f.Variables)
	}
	rec, path, err := find.One("report", args)
	if err != nil {
		return err
	}
	defer rec.Close()
	return WritePage(u, rec, path, f)
}

// WritePage writes the page about a recording, beside it unless told otherwise.
func WritePage(u *screen.UI, rec *recording.Recording, path string, f *Flags) error {
	u.Status("reading %s", path)
	p, perr := pageOf(u, rec, path, f)
	u.ClearStatus()
	if p == nil {
		return perr
	}
	out := f.Out
	switch out {
	case "-":
		return errors.Join(p.Write(u.Out), perr)
	case "":
		out = strings.TrimSuffix(strings.TrimSuffix(filepath.Clean(find.Beside(path)), ".zip"), ".part")
		out = strings.TrimSuffix(out, ".pyrr") + ".html"
	}
	if err := digest.WriteWhole(out, p.Write); err != nil {
		return err
	}
	u.Note("wrote %s", out)
	if p.Left > 0 {
		u.Note("it holds the last %s events; %s before them are left out", printable.Grouped(uint64(p.Rows)), printable.Grouped(uint64(p.Left)))
	}
	return perr
}

// pageOf gathers what the page shows. With an error about a damaged recording the
// page is there as well.
func pageOf(u *screen.UI, rec *recording.Recording, path string, f *Flags) (*page.Page, error) {
	r, err := reason.Of(rec, false)
	if err != nil {
		return nil, show.ReplayFailed(err, path)
	}
	info, err := contents.Of(rec, path, func(uint64) {})
	if info == nil {
		return nil, show.ReplayFailed(err, path)
	}
	in := &page.Input{Rec: rec, Title: printable.Shorten(titleOf(info.Command), 160), Outcome: outcomeOf(info, r), Why: r.Why, Explained: r.Says(),
		Bad: r.Says() || info.Status == nil || *info.Status != 0, Events: f.Events, Describe: describe,
		Progress: func(n uint64) { u.Status("reading %s: %s events", path, printable.Grouped(n)) }}
	if info.Test != "" {
		in.Title = printable.Shorten(info.Test, 160)
	}
	if f.Variables == "never" {
		in.Why = valueless(r.Why)
	}
	in.Facts = factsOf(rec, info)
	for i := range r.Ends {
		e := &r.Ends[i]
		in.Processes = append(in.Processes, e.Facts)
		for k := range e.Threads {
			w := &e.Threads[k]
			waits := reason.WaitsFor(w)
			if w.Call != "" {
				waits += show.Lasting(w)
			}
			in.Ends = append(in.Ends, page.End{Proc: w.Proc.ID, TID: w.TID, Waits: waits, Stack: w.Stack.Frames})
		}
	}
	if f.Unlike != "" {
		if in.Unlike, err = unlikeOfPage(u, rec, path, f.Unlike); err != nil {
			return nil, err
		}
	}
	if in.Checks, err = checksOfPage(u, path, f); err != nil {
		return nil, err
	}
	name := printable.ShellQuote(filepath.Base(path))
	in.Commands = []string{"pyrr explain " + name, "pyrr events " + name}
	if info.Form != recording.FormIndex {
		in.Commands = append(in.Commands, "pyrr replay "+name)
	}
	in.Read = func(vars, output map[page.Place]bool) page.Read {
		u.Status("replaying %s for its variables", path)
		return readMoments(rec, info, f, vars, output)
	}
	p, err := page.Make(in)
	if err != nil {
		err = show.ReplayFailed(err, path)
	}
	return p, err
}

// valueless is a verdict without the variables of its exception.
func valueless(v *hang.Verdict) *hang.Verdict {
	if v == nil || v.Raised == nil {
		return v
	}
	out := *v
	out.Raised = &hang.Raised{}
	*out.Raised = *v.Raised
	for r := out.Raised; ; r = r.Cause {
		r.Frames = slices.Clone(r.Frames)
		for i := range r.Frames {
			r.Frames[i].Vars = nil
		}
		if r.Cause == nil {
			return &out
		}
		cause := *r.Cause
		r.Cause = &cause
	}
}

// readMoments reads variables by a replay, unless that is not wanted, not possible or
// would take long.
func readMoments(rec *recording.Recording, info *contents.Info, f *Flags, vars, output map[page.Place]bool) page.Read {
	takes := time.Duration(info.Instructions)*time.Second/fastReplay + time.Duration(info.Events)*20*time.Microsecond
	switch err := replay.Able(rec); {
	case f.Variables == "never":
		return page.Read{Without: "it was made without them (--variables never)"}
	case err != nil:
		return page.Read{Without: err.Error()}
	case len(probe.Machine().Missing(true)) > 0:
		return page.Read{Without: "the machine that made this page can't replay"}
	case f.Variables != "always" && takes > longReplay:
		return page.Read{Without: fmt.Sprintf("reading them takes a replay of about %.0f s; pyrr report --variables always does that", takes.Seconds())}
	}
	o := moments.Options{Bytes: 1 << 20, Output: 1 << 20}
	if f.Variables != "always" {
		o.Until = time.Now().Add(2 * longReplay)
	}
	got, err := moments.Read(rec, places(vars), places(output), o)
	out := page.Read{Output: map[page.Place][]byte{}}
	if err != nil {
		out.Without = "the replay that reads them ended early: " + err.Error()
	}
	for _, m := range got.Moments {
		pm := page.Moment{Place: page.Place(m.Place)}
		for _, mf := range m.Frames {
			pm.Frames = append(pm.Frames, hang.RaisedFrame{Frame: mf.Frame, Vars: mf.Vars})
		}
		out.Moments = append(out.Moments, pm)
	}
	for _, k := range got.Tasks {
		pt := page.TaskEnd{Proc: k.Proc, Name: k.Name}
		for _, mf := range k.Frames {
			pt.Frames = append(pt.Frames, hang.RaisedFrame{Frame: mf.Frame, Vars: mf.Vars})
		}
		out.Tasks = append(out.Tasks, pt)
	}
	for i := range got.Raises {
		out.Raises = append(out.Raises, raiseOfPage(&got.Raises[i]))
	}
	for at, text := range got.Output {
		out.Output[page.Place(at)] = text
	}
	return out
}

func raiseOfPage(r *moments.Raise) page.Raise {
	out := page.Raise{Place: page.Place(r.Place), TID: r.TID, Instr: r.Instr, Text: r.Text}
	for _, f := range r.Stack {
		out.Stack = append(out.Stack, stack.Frame{Kind: stack.Python, Func: f.Func, File: f.File, Line: f.Line})
	}
	for _, f := range r.Vars {
		out.Vars = append(out.Vars, hang.RaisedFrame{Frame: f.Frame, Vars: f.Vars})
	}
	return out
}

func places(in map[page.Place]bool) map[moments.Place]bool {
	out := map[moments.Place]bool{}
	for at, ok := range in {
		out[moments.Place(at)] = ok
	}
	return out
}

// describe says in one line what happened at an event.
func describe(ev, enter *recording.Event, p *logview.Follower) string {
	switch ev.Kind {
	case recording.KindSyscall:
		return listing.Call(ev, ev, true)
	case recording.KindEnter, recording.KindThread:
		return listing.Call(ev, ev, false)
	case recording.KindExit:
		if enter != nil {
			return listing.Call(enter, ev, true)
		}
	}
	return listing.NewView(ev, enter, p).Text
}

// factsOf are lines about a recording.
func factsOf(rec *recording.Recording, info *contents.Info) []page.Fact {
	var out []page.Fact
	fact := func(name, format string, args ...any) {
		if text := fmt.Sprintf(format, args...); text != "" {
			out = append(out, page.Fact{Name: name, Value: text})
		}
	}
	if info.Test != "" {
		fact("command", "%s", printable.Shorten(printable.ShellJoin(info.Command), 300))
	}
	fact("recorded", "%s", info.Started.UTC().Format("2006-01-02 15:04:05 UTC"))
	fact("Python", "%s", strings.Join(info.Pythons, ", "))
	fact("machine", "Linux %s, %s", info.Kernel, info.CPU)
	var env map[string]string
	if procs, err := rec.Procs(); err == nil && len(procs) > 0 {
		env = envMap(procs[0].Env)
	}
	fact("commit", "%s", cmp.Or(env["GITHUB_SHA"], env["CI_COMMIT_SHA"], env["BUILDKITE_COMMIT"], env["GIT_COMMIT"]))
	fact("job", "%s", cmp.Or(strings.Trim(env["GITHUB_WORKFLOW"]+" / "+env["GITHUB_JOB"], " /"), env["CI_JOB_NAME"], env["BUILDKITE_LABEL"], env["JOB_NAME"]))
	fact("length", "%s, %s instructions", printable.Seconds(time.Duration(info.Seconds*1e9)), printable.Grouped(info.Instructions))
	fact("events", "%s in %s", printable.Grouped(info.Events), printable.Plural(uint64(len(info.Processes)), "process", "processes"))
	if !info.Complete {
		fact("incomplete", "%s", info.Why)
	}
	fact("verified", "%s", map[string]string{"exact": "a replay was exact", "no": "no"}[info.Verified]+contents.DivergedNote(info.Verified))
	if info.Redacted != nil && len(info.Redacted.Secrets) > 0 {
		fact("secrets", "%s replaced by placeholders", printable.Plural(uint64(len(info.Redacted.Secrets)), "known one", "known ones"))
	}
	return out
}

// titleOf is a command with its program by its name alone.
func titleOf(command []string) string {
	if len(command) == 0 {
		return ""
	}
	return printable.ShellJoin(append([]string{filepath.Base(command[0])}, command[1:]...))
}

// envMap is an environment by name.
func envMap(env []string) map[string]string {
	out := map[string]string{}
	for _, e := range env {
		if k, v, ok := strings.Cut(e, "="); ok {
			out[k] = v
		}
	}
	return out
}

// unlikeOfPage says what differs from a recording of a run that passed.
func unlikeOfPage(u *screen.UI, rec *recording.Recording, path, passed string) (*page.Unlike, error) {
	r, err := UnlikeOf(u, rec, path, passed)
	if err != nil {
		return nil, err
	}
	out := &page.Unlike{Name: "the run that passed", Followed: r.Followed("the run that passed", "this run")}
	for _, c := range r.Causes() {
		k := page.Cause{Kind: c.Kind, What: c.What, Passed: c.First, This: c.Second}
		if c.B >= 0 {
			e := r.B.Event(c.B)
			k.Proc, k.Event = e.Proc, e.Pos.Event
		}
		out.Causes = append(out.Causes, k)
	}
	return out, nil
}

// outcomeOf says in a word or two how a recording ended.
func outcomeOf(info *contents.Info, r *reason.Reason) string {
	switch {
	case info.TimedOut || info.Outcome == "timeout":
		return "hangs"
	case info.Outcome == "failed" || r.Why.Raised != nil:
		return "failed"
	case info.Outcome != "":
		return info.Outcome
	case info.Status == nil:
		return "was cut"
	case *info.Status != 0:
		return "fails: " + listing.Status(*info.Status)
	}
	return "ended"
}

// Compared compares two recordings: of pytest's the last test that both have.
func Compared(u *screen.UI, recs [2]*recording.Recording, paths [2]string) (*compare.Result, error) {
	var sides [2]*compare.Side
	for i, rec := range recs {
		u.Status("reading %s", paths[i])
		side, err := compare.Read(facts.New(rec, u.Cleanups.Add))
		u.ClearStatus()
		if err != nil {
			return nil, show.ReplayFailed(err, paths[i])
		}
		side.World = &compare.World{Command: rec.Header().Command}
		if procs, err := rec.Procs(); err == nil && len(procs) > 0 {
			side.World.Env, side.World.Python = procs[0].Env, procs[0].Python
		}
		sides[i] = side
	}
	tests := sides[1].Tests()
	for i := len(tests) - 1; i >= 0; i-- {
		if slices.Contains(sides[0].Tests(), tests[i]) {
			sides[0].Within(tests[i])
			sides[1].Within(tests[i])
			break
		}
	}
	return compare.Sides(sides[0], sides[1]), nil
}

// UnlikeOf compares a recording with one of a run that passed.
func UnlikeOf(u *screen.UI, rec *recording.Recording, path, passed string) (*compare.Result, error) {
	other, err := find.Open("explain", passed)
	if err != nil {
		return nil, err
	}
	defer other.Close()
	r, err := Compared(u, [2]*recording.Recording{other, rec}, [2]string{passed, path})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// longReplay is the longest replay, as far as that can be told before, that a page
// waits for unasked, and fastReplay how many instructions one runs in a second.
const (
	longReplay = 4 * time.Second
	fastReplay = 25_000_000
)
