package compare

import (
	"fmt"
	"slices"
	"strings"

	"pyrr/assert"
	"pyrr/internal/stack"
)

// Bounds of what Followed looks at and says.
const (
	maxWay    = 400 // events of a thread behind the parting
	maxOthers = 2   // other threads
)

// stop is a place in the program's own code at which a thread was, and the first of its
// events there; stays says that it made no further one.
type stop struct {
	frame stack.Frame
	event int
	stays bool
}

// Followed says what the parting led to: the first places in the program's own code at which
// a run was and the other was not, of the thread that parts and of others. The names are how
// the runs are called.
func (r *Result) Followed(first, second string) string {
	n := r.Parting()
	if n < 0 {
		return ""
	}
	t := &r.Threads[n]
	says := []string{r.followedOf(t, first, second)}
	if says[0] == "" {
		a, b := r.call(r.A, t.A), r.call(r.B, t.B)
		says[0] = fmt.Sprintf("%s %s in %s; in %s it %s", title(t), b, second, first, a)
		if _, own := r.B.own(max(0, t.B)); a == b || !own {
			says[0] = "in the program's own code " + title(t) + " made the same calls in both"
		}
	}
	for k := range r.Threads {
		if o := &r.Threads[k]; k != n && o.Differs() && len(says) <= maxOthers {
			if text := r.followedOf(o, first, second); text != "" {
				says = append(says, text)
			}
		}
	}
	return strings.Join(says, "; ")
}

// followedOf says where a thread was behind the parting in the second run, and where in the
// first; "" where it was at the same places of the program's own code.
func (r *Result) followedOf(t *Thread, first, second string) string {
	switch {
	case t.OnlyA:
		return title(t) + " ran in " + first + " only"
	case t.OnlyB:
		return title(t) + " ran in " + second + " only"
	}
	a, b := r.A.way(t, t.A), r.B.way(t, t.B)
	k := 0
	for k < len(a) && k < len(b) && r.sameFrame(&a[k].frame, &b[k].frame) && a[k].stays == b[k].stays {
		k++
	}
	if k == len(a) && k == len(b) {
		return ""
	}
	return fmt.Sprintf("%s %s in %s; in %s it %s", title(t), r.B.went(b, k), second, first, r.A.went(a, k))
}

// way lists the places of the program's own code at which a thread was from an event on.
func (s *Side) way(t *Thread, from int) []stop {
	if from < 0 {
		return nil
	}
	begin := s.Event(from)
	var list []int
	for i := range s.events {
		if e := &s.events[i]; s.compares(e) && !s.added[i] && e.Proc == begin.Proc && e.Thread == begin.Thread && e.Pos.Event >= begin.Pos.Event {
			list = append(list, i)
		}
	}
	slices.SortStableFunc(list, func(i, k int) int { return int(int64(s.events[i].Pos.Event) - int64(s.events[k].Pos.Event)) })
	var out []stop
	for _, i := range list[:min(len(list), maxWay)] {
		f, ok := s.own(i)
		if !ok {
			continue
		}
		if n := len(out); n > 0 && out[n-1].frame.File == f.File && out[n-1].frame.Line == f.Line && out[n-1].frame.Func == f.Func {
			out[n-1].stays = out[n-1].stays || s.Event(i).Unfinished
			continue
		}
		out = append(out, stop{frame: f, event: i, stays: s.Event(i).Unfinished})
	}
	return out
}

// own is the innermost frame of the program's own code at an event.
func (s *Side) own(i int) (stack.Frame, bool) {
	for _, f := range s.stacks[i].Python.Frames {
		if f.Kind == stack.Python && !stack.IsLibrary(f.File) && !strings.HasPrefix(f.File, "<") {
			return f, true
		}
	}
	return stack.Frame{}, false
}

// went says where a thread was, k places behind the parting.
func (s *Side) went(way []stop, k int) string {
	if k >= len(way) {
		return "went no further"
	}
	f := way[k].frame
	file, _ := stack.Paths{Root: s.info.Root}.Short(f.File)
	verb := "went on to"
	if way[k].stays {
		verb = "stayed in"
	}
	return fmt.Sprintf("%s %s:%d in %s", verb, file, f.Line, f.Func)
}

// plumbing are calls that say nothing to a person of where two runs went.
func plumbing(e *assert.Event) bool {
	return strings.HasPrefix(e.Name, "rt_sig") || e.Name == "sigaltstack" || e.Name == "getpid" || e.Name == "gettid" || e.Name == "ioctl" || e.Name == "lseek" || e.Name == "fcntl"
}

// call is what a thread did from an event on, for two runs that were at the same places: the
// first call that says anything.
func (r *Result) call(s *Side, i int) string {
	if i < 0 {
		return "did nothing more"
	}
	begin := s.Event(i)
	for k := i; k < len(s.events) && k < i+maxWay && plumbing(s.Event(i)); k++ {
		if e := &s.events[k]; s.compares(e) && e.Proc == begin.Proc && e.Thread == begin.Thread && !plumbing(e) {
			i = k
		}
	}
	e := s.Event(i)
	text := e.Text()
	if e.Unfinished {
		text = "stayed in " + strings.TrimSpace(strings.SplitN(text, " unfinished", 2)[0])
	} else {
		text = "made " + text
	}
	if f, ok := s.Place(i); ok {
		text += fmt.Sprintf(" at %s:%d in %s", f.File, f.Line, f.Func)
	}
	return text
}
