package hang

import (
	"fmt"
	"strings"

	"pyrr/internal/lazyregexp"
)

// Failed is the verdict on an exception that a test or a program ended with.
// event is where its recording ends.
func Failed(in *Input, proc int, r *Raised, event uint64) *Verdict {
	j := &judge{in: in, procs: map[int]*Process{}, edges: map[node][]edge{}}
	for _, p := range in.Procs {
		j.procs[p.ID] = p
	}
	v := &Verdict{Degree: Proven, Kind: "failure", Raised: r}
	at, test := j.raisedAt(r)
	v.Sentence = j.headline(r)
	if at != nil {
		v.Sentence += fmt.Sprintf(" at %s in %s", j.at(at.Frame), at.Func)
		f := at.Frame
		v.Where = &f
	}
	v.Sentence += j.waitedIn(r, at)
	if r.Phase == "setup" || r.Phase == "teardown" {
		v.Sentence += ", in the " + r.Phase + " of the test"
	}
	if r.Phase == "collection" {
		v.Sentence += ", while pytest collected the tests"
	}
	if loop := j.loopExit(proc, r, at); loop != "" {
		if v.Sentence, v.Long = brief(strings.TrimSuffix(loop, ".") + "."); v.Long == v.Sentence {
			v.Long = ""
		}
	}
	v.Sentence = strings.TrimSuffix(v.Sentence, ".") + "."
	e := Evidence{Proc: proc, Event: event}
	if r.At != nil {
		e.Event, e.Instr = r.At.Event, r.At.Instr
	}
	if at != nil {
		e.File, e.Line = at.File, at.Line
		e.Text = "raised through " + at.Func
		if len(r.Frames) > 0 && r.Frames[0].Frame == at.Frame {
			e.Text = "raised in " + at.Func
		}
		v.Evidence = append(v.Evidence, e)
		if len(r.Frames) > 0 && r.Frames[0].Frame != at.Frame {
			f := r.Frames[0].Frame
			v.Evidence = append(v.Evidence, Evidence{Text: fmt.Sprintf("raised in %s (%s)", f.Func, j.at(f)), File: f.File, Line: f.Line})
		}
	}
	if test != nil && test != at {
		v.Evidence = append(v.Evidence, Evidence{Text: "called from " + test.Func, File: test.File, Line: test.Line})
	}
	for k := range r.Group {
		g := &r.Group[k]
		x := Evidence{Text: "with " + j.headline(g)}
		if f, _ := j.raisedAt(g); f != nil {
			x.Text += fmt.Sprintf(" (%s)", j.at(f.Frame))
			x.File, x.Line = f.File, f.Line
		}
		v.Evidence = append(v.Evidence, x)
	}
	for c := r.Cause; c != nil; c = c.Cause {
		text := "while handling " + j.headline(c)
		if r.From == "from" {
			text = "from " + j.headline(c)
		}
		x := Evidence{Text: text}
		if f, _ := j.raisedAt(c); f != nil {
			x.Text += fmt.Sprintf(" (%s)", j.at(f.Frame))
			x.File, x.Line = f.File, f.Line
		}
		v.Evidence = append(v.Evidence, x)
		r = c
	}
	j.diedBeside(v, proc)
	v.key = []string{"failure", v.Raised.Type}
	if at != nil {
		v.key = append(v.key, j.short(at.File)+":"+raisedIn(v.Raised, at))
	}
	return v
}

// waitedIn says, of a time-out of asyncio's, where what it cancelled had waited.
func (j *judge) waitedIn(r *Raised, at *RaisedFrame) string {
	if r.Type != "TimeoutError" || r.Cause == nil || r.Cause.Type != "CancelledError" || at == nil {
		return ""
	}
	f, _ := j.raisedAt(r.Cause)
	if f == nil || !f.own() || f.Frame == at.Frame {
		return ""
	}
	return fmt.Sprintf("; what it cancelled waited in %s (%s)", f.Func, j.at(f.Frame))
}

// diedBeside adds the exceptions that ended threads and children before: that their
// work is missing may be why.
func (j *judge) diedBeside(v *Verdict, proc int) {
	const most = 3
	for _, p := range j.in.Procs {
		if p.Facts == nil {
			continue
		}
		for k := range p.Facts.Died {
			d := &p.Facts.Died[k]
			if d.Phase != "" || d.Main && p.ID == proc || len(v.Evidence) > 8+most {
				continue
			}
			who := d.died()
			if d.Main {
				who = j.procName(p) + " died of"
			}
			e := Evidence{Text: who + " " + j.headline(d), Proc: p.ID, Event: d.Event}
			if f, _ := j.raisedAt(d); f != nil {
				e.Text += fmt.Sprintf(" (%s)", j.at(f.Frame))
				e.File, e.Line = f.File, f.Line
			}
			v.Evidence = append(v.Evidence, e)
		}
	}
}

// raisedAt returns the innermost and the outermost frame of the user's code, or
// the innermost of all that is no machinery.
func (j *judge) raisedAt(r *Raised) (inner, outer *RaisedFrame) {
	frames := make([]Frame, len(r.Frames))
	for k := range r.Frames {
		frames[k] = r.Frames[k].Frame
	}
	for k := range r.Frames {
		if f := &r.Frames[k]; f.own() && !Made(frames, k) {
			if inner == nil {
				inner = f
			}
			outer = f
		}
	}
	if inner == nil {
		for k := range r.Frames {
			if !Machinery(r.Frames[k].File) {
				return &r.Frames[k], nil
			}
		}
	}
	return inner, outer
}

// raisedIn is the function that a frame of an exception is of, for a comprehension the one
// around it.
func raisedIn(r *Raised, at *RaisedFrame) string {
	passed := false
	for k := range r.Frames {
		f := &r.Frames[k]
		passed = passed || f == at
		if name := lastName(f.Func); passed && !comprehensions[name] {
			return name
		}
	}
	return lastName(at.Func)
}

// headline is an exception on one line.
func (j *judge) headline(r *Raised) string {
	if j.in.NoValues {
		return r.Type
	}
	text := firstOf(strings.TrimSpace(r.Text))
	if len(text) > 160 {
		text = strings.ToValidUTF8(text[:160], "") + "…"
	}
	if text == "" {
		return r.Type
	}
	return r.Type + ": " + text
}

// differs matches what pytest says of where two things differ: of lists, dicts and dataclasses.
var differs = lazyregexp.New(`^(?:At index \d+ diff: .+|\{.+\}|[A-Za-z_]\w*: .+) != .+$`)

// firstOf is the first line of a message, and of one whose first line says little, such as
// "1 validation error for Order", what fits of those behind it. What pytest says of an assert is
// in its first line, but where that has but parts of the two: the first difference is behind it.
func firstOf(text string) string {
	const little, most = 60, 140
	lines := strings.Split(text, "\n")
	out := lines[0]
	if strings.HasPrefix(out, "assert ") && strings.Contains(out, "...") {
		for _, line := range lines[1:] {
			if line = strings.TrimSpace(line); differs().MatchString(line) {
				return out + "; " + line
			}
		}
	}
	if len(out) > little || strings.HasPrefix(out, "assert ") {
		return out
	}
	for _, line := range lines[1:] {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		between := "; "
		if last := out[max(0, len(out)-1):]; last == "." || last == ":" || last == "" {
			between = " "
		}
		if left := most - len(out) - len(between); left < len(line) {
			if left > little/2 {
				out += between + strings.ToValidUTF8(line[:left], "") + "…"
			}
			break
		}
		out += between + line
	}
	return out
}
