package moments

import (
	"strings"
	"time"

	"pyrr/internal/hang"
	"pyrr/replay"
)

// Bounds of the exceptions: that are kept, whose stacks are looked at, and the frames of
// a stack.
const (
	maxRaises = 200
	maxLooks  = 20_000
	maxStack  = 60
)

// raise looks at an exception that a thread raises. It is the user's where their code is
// on the stack and no import lies between: those raise many that nobody asks for.
func (r *reader) raise(h *replay.Hit) error {
	if !r.o.Until.IsZero() && time.Now().After(r.o.Until) {
		return errEnough
	}
	if h.Exception == nil || r.looks >= maxLooks || r.left <= r.o.Bytes/toFirst {
		return nil
	}
	r.looks++
	p := h.Process
	rt, err := p.Runtime()
	if err != nil {
		return nil
	}
	frames, err := p.PyFrames(h.Thread, maxStack)
	if err != nil && len(frames) == 0 {
		return nil
	}
	if outer := frames[len(frames)-1].File; outer == "<frozen site>" || strings.HasSuffix(outer, "/site.py") {
		return nil // what installations do before the program begins
	}
	for i := range frames {
		f := &frames[i]
		if strings.HasPrefix(f.File, "<frozen importlib") {
			return nil
		}
		if !hang.Library(f.File) && !strings.HasPrefix(f.File, "<") {
			if i > 0 && ends(h.Exception.Type) {
				return nil // of an iterator of a library's
			}
			break
		}
		if i == len(frames)-1 {
			return nil
		}
	}
	out := Raise{Place: Place{p.Info.ID, h.Pos.Event}, TID: h.Thread.TID, Instr: h.Pos.Instr, Text: h.Exception.Text}
	if len(out.Text) > maxValue {
		out.Text = strings.ToValidUTF8(out.Text[:maxValue], "") + "…"
	}
	for i := range frames {
		out.Stack = append(out.Stack, hang.Frame{Func: frames[i].Func, File: frames[i].File, Line: frames[i].Line})
	}
	out.Vars = r.frames(rt, p.Mem(), frames)
	if len(r.out.Raises) == maxRaises {
		r.left += size(&r.out.Raises[0])
		r.out.Raises = append(r.out.Raises[:0], r.out.Raises[1:]...)
	}
	r.out.Raises = append(r.out.Raises, out)
	return nil
}

// ends tells the exceptions that end iterators and generators, which no one sees.
func ends(class string) bool {
	return class == "StopIteration" || class == "StopAsyncIteration" || class == "GeneratorExit"
}

// size is what the variables of an exception took.
func size(r *Raise) int {
	n := 0
	for i := range r.Vars {
		for _, v := range r.Vars[i].Vars {
			n += len(v.Name) + len(v.Value)
		}
	}
	return n
}
