package assert

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"pyrr/internal/lazyregexp"
	"pyrr/internal/stack"
)

// goldenResult holds the stacks at a golden's point against its file. ends
// are the stacks at the end of the recording.
func (j *judge) goldenResult(g *Golden, ends []Stacks, text stack.SourceText) *Result {
	r := &Result{Name: g.Name(), ID: j.spec.CheckID(g.Name()), Want: g.Name(), Place: g.Place, Mark: g.Place,
		Golden: &GoldenResult{File: j.spec.Path(g.File)}}
	unjudged := func(format string, args ...any) *Result {
		r.Verdict, r.Got = Unjudged, fmt.Sprintf(format, args...)
		return r
	}
	at := []Stacks{}
	if g.AtEnd() {
		at = chooseEnds(g, ends)
		if len(at) == 0 && g.Tasks != "" {
			if j.noState != "" {
				return unjudged("%s", j.noState)
			}
			r.Verdict, r.Got = Fail, "there is no task at the end"
			if g.Tasks != "all" {
				r.Got = fmt.Sprintf("there is no task %s at the end", g.Tasks)
			}
			return r
		}
		if len(at) == 0 {
			if g.Threads == "" || g.Threads == "main" || g.Threads == "all" {
				return unjudged("there is no stack at the recording's end")
			}
			r.Verdict, r.Got = Fail, fmt.Sprintf("there is no thread %s at the end", g.Threads)
			return r
		}
		if j.info.Truncated {
			return unjudged("the recording was cut: %s", orNone("", j.info.Why, "its end is not the program's"))
		}
	} else {
		b := j.bound[g.target]
		if b.truth != yes {
			return unjudged("%s", b.say)
		}
		s, ok := j.stacks[b.event]
		if !ok {
			return unjudged("the stack at %s could not be read", g.At)
		}
		at = append(at, s)
		r.Moments = []Moment{j.moment(b.event, true)}
	}
	var got []stack.Stack
	cut := make([]string, len(at)) // why a stack is not whole
	for i, s := range at {
		st, why := g.choose(s)
		if why != "" {
			return unjudged("%s", why)
		}
		st, cut[i] = readable(st)
		if madeName().MatchString(st.Name) {
			st.Name = "" // asyncio counts them
		}
		if cut[i] != "" && len(st.Frames) == 0 {
			return unjudged("the stack could not be read: %s", cut[i])
		}
		got = append(got, j.paths.Normal(st, text))
	}
	j.compareGolden(r, g, got, cut)
	return r
}

// madeName matches the names that asyncio gives tasks.
var madeName = lazyregexp.New(`^Task-[0-9]+$`)

// readable returns the frames of a stack up to the one that could not be
// read, and why that was; "" for a whole stack.
func readable(s stack.Stack) (stack.Stack, string) {
	n := slices.IndexFunc(s.Frames, func(f stack.Frame) bool { return f.Err != "" })
	if n < 0 {
		return s, ""
	}
	why := s.Frames[n].Err
	if f := &s.Frames[n]; f.Func != "" && (f.Kind == stack.C || f.Line > 0) {
		n++ // only what comes after it is not known
	}
	s.Frames = slices.Clone(s.Frames[:n])
	if n > 0 {
		s.Frames[n-1].Err = ""
	}
	return s, why
}

// chooseEnds picks the threads that a golden at the end is about.
func chooseEnds(g *Golden, ends []Stacks) []Stacks {
	if g.Tasks != "" && g.Tasks != "all" {
		return slices.DeleteFunc(slices.Clone(ends), func(s Stacks) bool { return !stack.Glob(g.Tasks, s.Python.Name) })
	}
	switch {
	case g.Tasks == "all", g.Threads == "all":
		return ends
	case g.Threads == "", g.Threads == "main":
		return ends[:min(1, len(ends))]
	}
	return slices.DeleteFunc(slices.Clone(ends), func(s Stacks) bool { return !stack.Glob(g.Threads, s.Python.Name) })
}

// choose takes the frames that the golden wants, or says why it can't.
func (g *Golden) choose(s Stacks) (stack.Stack, string) {
	st := s.Python
	if g.C {
		if s.Full == nil {
			return st, "needs C stacks, which were not read"
		}
		st = *s.Full
		if !g.Python {
			st.Frames = slices.DeleteFunc(slices.Clone(st.Frames), func(f stack.Frame) bool { return f.Kind != stack.C })
		}
	}
	return st, ""
}

// compareGolden reads the golden's file and compares.
// What lies beyond the readable part of a stack, only "…" can stand for.
func (j *judge) compareGolden(r *Result, g *Golden, got []stack.Stack, cut []string) {
	gr := r.Golden
	label := func(n int) string {
		if len(got) > 1 {
			return fmt.Sprintf("%s %d", g.At, n+1)
		}
		return g.At
	}
	fresh := make([]stack.Pattern, len(got))
	for n, s := range got {
		fresh[n] = folded(stack.PatternOf(label(n), s), s)
		if cut[n] != "" {
			fresh[n].Lines = append(fresh[n].Lines, stack.Line{Gap: true})
		}
	}
	gr.Text = stack.Format(fresh)
	want, err := readGolden(gr.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		gr.Missing = true
		r.Verdict, r.Got = Fail, "there is no "+gr.File+" yet"
		return
	case err != nil:
		r.Verdict, r.Got = Broken, err.Error()
		return
	}
	gr.Threads = pairStacks(want, got, g.Exact)
	merged := make([]stack.Pattern, 0, len(got))
	moved, byNumber, differ, unsure := 0, 0, 0, 0
	for _, d := range gr.Threads {
		moved += d.Diff.Moved
		byNumber += d.Diff.ByNumber
		unsure += d.Diff.Open
		if !d.Diff.Equal {
			differ++
		}
	}
	for n, s := range got {
		merged = append(merged, mergePattern(fresh[n], want, s, g.Exact))
	}
	gr.Text = stack.Format(merged)
	part := ""
	for n, why := range cut {
		if why != "" && !openEnded(want, got[n], g.Exact) && mayFit(want, got[n], g.Exact) {
			part = why
		}
	}
	switch {
	case part != "":
		r.Verdict, r.Got = Unjudged, "the stack could not be read whole: "+part
	case differ > 0:
		r.Verdict, r.Got = Fail, j.goldenSays(gr)
	case unsure > 0:
		r.Verdict, r.Got = Unjudged, fmt.Sprintf("the golden gives the source text of %s but any line, and the source is not at hand", frames(unsure))
	default:
		r.Verdict = Pass
	}
	if moved > 0 {
		r.Notes = append(r.Notes, frames(moved)+" moved to another line, with the same text")
	}
	if byNumber > 0 {
		r.Notes = append(r.Notes, "source not at hand for "+frames(byNumber)+": the line number decided")
	}
}

// folded leaves out the frames that only show how tests are run: they change with
// pytest's version and say nothing of the program.
func folded(p stack.Pattern, s stack.Stack) stack.Pattern {
	out := p
	out.Lines = nil
	for k, l := range p.Lines {
		if f := &s.Frames[k]; f.Kind == stack.Python && stack.Harness(f.File) {
			l = stack.Line{Gap: true}
			if n := len(out.Lines); n > 0 && out.Lines[n-1].Gap {
				continue
			}
		}
		out.Lines = append(out.Lines, l)
	}
	if len(out.Lines) == 1 && out.Lines[0].Gap {
		return p
	}
	return out
}

// openEnded reports whether the golden fits the readable part of a stack, and
// leaves open what comes after it.
func openEnded(want []stack.Pattern, s stack.Stack, exact bool) bool {
	return slices.ContainsFunc(want, func(p stack.Pattern) bool {
		n := len(p.Lines)
		return n > 0 && p.Lines[n-1].Gap && stack.Compare(p, s, exact).Equal
	})
}

// mayFit reports whether frames that could not be read could make a stack fit
// the golden: some beginning of it fits those that could.
func mayFit(want []stack.Pattern, s stack.Stack, exact bool) bool {
	for _, p := range want {
		for n := range len(p.Lines) + 1 {
			head := p
			head.Lines = p.Lines[:n]
			if stack.Compare(head, s, exact).Equal {
				return true
			}
		}
	}
	return false
}

func frames(n int) string {
	if n == 1 {
		return "1 frame"
	}
	return grouped(uint64(n)) + " frames"
}

// goldenSays says where the first difference is.
func (j *judge) goldenSays(gr *GoldenResult) string {
	for i := range gr.Threads {
		t := &gr.Threads[i]
		where := ""
		if len(gr.Threads) > 1 {
			where = " of thread " + orNone("", t.Name, fmt.Sprint(i+1))
		}
		switch {
		case t.NoGot:
			return gr.File + " has a thread that is not there: " + t.Name
		case t.NoWant:
			return gr.File + " does not have the thread " + t.Name
		case t.Diff.Thread && t.Diff.First() < 0:
			return gr.File + " is about another thread: " + orNone("", t.Name, "this one has no name")
		case !t.Diff.Equal:
			n := 0
			for _, row := range t.Diff.Rows {
				if row.Want >= 0 {
					n++
				}
			}
			return fmt.Sprintf("%s differs at frame %d of %d%s", gr.File, max(0, t.Diff.First()), n, where)
		}
	}
	return gr.File + " differs"
}

const maxGoldenSize = 16 << 20

func readGolden(file string) ([]stack.Pattern, error) {
	st, err := os.Stat(file)
	if err == nil && (!st.Mode().IsRegular() || st.Size() > maxGoldenSize) {
		// A spec may come from anywhere: it names nothing that has no end.
		return nil, fmt.Errorf("read golden: %s is not a regular file of at most %d MiB", file, maxGoldenSize>>20)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read golden: %w", err)
	}
	p, err := stack.Parse(string(text))
	if pe, ok := errors.AsType[*stack.ParseError](err); ok {
		return nil, fmt.Errorf("%s:%d:%d: %s", file, pe.Line, pe.Col, pe.Msg)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

// pairStacks finds for each stack the part of the golden that it is to be
// held against: an equal one, else one of the same thread, else the next.
func pairStacks(want []stack.Pattern, got []stack.Stack, exact bool) []ThreadDiff {
	partner := make([]int, len(got)) // index into want, -1 for none
	for i := range partner {
		partner[i] = -1
	}
	used := make([]bool, len(want))
	pass := func(fits func(w stack.Pattern, s stack.Stack) bool) {
		for i, s := range got {
			for k := range want {
				if partner[i] < 0 && !used[k] && fits(want[k], s) {
					partner[i], used[k] = k, true
				}
			}
		}
	}
	if len(want) != 1 || len(got) != 1 {
		pass(func(w stack.Pattern, s stack.Stack) bool { d := stack.Compare(w, s, exact); return d.Equal })
		pass(func(w stack.Pattern, s stack.Stack) bool { return w.Thread != "" && stack.Glob(w.Thread, s.Name) })
	}
	pass(func(stack.Pattern, stack.Stack) bool { return true })
	var out []ThreadDiff
	for i, s := range got {
		d := ThreadDiff{Name: s.Name}
		if k := partner[i]; k >= 0 {
			d.Diff = stack.Compare(want[k], s, exact)
		} else {
			d.NoWant = true
			d.Diff = stack.Compare(stack.Pattern{}, s, exact)
			d.Diff.Equal = false
		}
		out = append(out, d)
	}
	for k, w := range want {
		if !used[k] {
			d := ThreadDiff{Name: w.Thread, NoGot: true, Diff: stack.Compare(w, stack.Stack{Name: w.Thread}, exact)}
			d.Diff.Equal = false
			out = append(out, d)
		}
	}
	return out
}

// mergePattern is what to write for a stack: the lines of the old golden
// where they hold, "…" and wildcards included, and fresh lines for the rest.
func mergePattern(fresh stack.Pattern, old []stack.Pattern, s stack.Stack, exact bool) stack.Pattern {
	best, score := -1, -1
	for k, w := range old {
		d := stack.Compare(w, s, exact)
		n := 0
		for _, row := range d.Rows {
			if row.Op == stack.Same || row.Op == stack.Moved {
				n++
			}
		}
		if d.Thread {
			n--
		}
		if n > score {
			best, score = k, n
		}
	}
	if best < 0 {
		return fresh
	}
	out := fresh
	out.Lines = nil
	d := stack.Compare(old[best], s, exact)
	if !d.Thread && old[best].Thread != "" {
		out.Thread = old[best].Thread
	}
	for _, row := range d.Rows {
		switch row.Op {
		case stack.Same, stack.Gap:
			out.Lines = append(out.Lines, row.Line)
		case stack.Moved:
			l := row.Line
			l.Number = stack.LineOf(row.Frame).Number
			out.Lines = append(out.Lines, l)
		case stack.Added:
			out.Lines = append(out.Lines, stack.LineOf(row.Frame))
		}
	}
	if check := stack.Compare(out, s, exact); !check.Equal {
		return fresh
	}
	return out
}
