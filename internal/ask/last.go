package ask

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
	"pyrr/internal/unwind"
	"pyrr/replay"
)

// Change is where something got the value that it has later.
type Change struct {
	// Moment is right before the change; its thread makes it.
	Moment
	// Expr is what changed, as it was asked for, and In the function in whose
	// frame it was found.
	Expr, In string
	// Before and After are the values; Made is set where there was none before.
	Before, After string
	Made          bool
	// Ever is set where it has had its value since the recording began.
	Ever bool
	// Stack are the Python frames of the thread, innermost first.
	Stack []stack.Frame
}

// LastOptions say what is looked for, and from where backwards.
type LastOptions struct {
	// At is a position, N%, eN, start or end; "" for the end.
	At string
	// Thread is a thread's id or name, Process a number or pid, In the function in
	// whose frame the expression is meant; "" and 0 for what is found first.
	Thread, In string
	Process    int
	// Most is how many changes are looked for, 0 for the last one alone.
	Most      int
	Replaying func()
	// Progress is told how far the replay of a process has come.
	Progress func(proc int, instr uint64)
}

// watched is a value that is followed backwards.
type watched struct {
	path  cpython.Path
	owner *cpython.Found // of which the last step is followed, nil for a variable
	frame cpython.Frame
	tid   int32

	mem *replay.Watch // of C, in place of all that
	// text is C's expression for that memory, "" where its address was given.
	text string
	c    *native
}

// worth is the value, at a place, of what is watched.
type worth struct {
	addr uint64
	text string
	word replay.Watch
}

var errNotThere = errors.New("its function has returned, or was not called yet")

// Last hands on where an expression got its value, then where it got the one
// before, as far back as asked for.
func Last(rec *recording.Recording, text string, o LastOptions, out func(*Change) error) error {
	a, err := newAsked(rec)
	if err != nil {
		return err
	}
	if o.Replaying != nil {
		o.Replaying()
	}
	x, err := replay.Open(rec, replay.Options{Progress: o.Progress})
	if err != nil {
		return err
	}
	defer x.Close()
	if err := a.selectProcess(x, o.Process); err != nil {
		return err
	}
	if err := Travel(x, o.At); err != nil {
		return err
	}
	w, in, err := find(x, text, &o, newNative(rec))
	if err != nil {
		return err
	}
	cur, err := w.now(x)
	if err != nil {
		return err
	}
	for n := 0; ; {
		c, before, err := a.changeBefore(x, w, cur)
		if err != nil {
			return err
		}
		c.Expr, c.In = text, in
		if err := out(c); err != nil {
			return err
		}
		if n++; c.Ever || c.Made || n >= o.Most {
			return nil
		}
		cur = before
	}
}

// selectProcess selects a process by its number or pid, else the first that runs
// Python.
func (a *asked) selectProcess(x *replay.Session, process int) error {
	for _, p := range x.Procs() {
		if process != 0 && (p.ID == process || p.PID == process) || process == 0 && p.Python != "" {
			return x.Select(p.ID)
		}
	}
	if process != 0 {
		return &UsageError{fmt.Errorf("the recording has no process %d", process)}
	}
	return nil
}

// Travel goes to a place: a position, N%, eN, start or end ("").
func Travel(x *replay.Session, at string) error {
	places, err := x.Places()
	if err != nil {
		return err
	}
	if len(places) == 0 {
		return errors.New("the process has no events")
	}
	last := uint64(len(places) - 1)
	total := places[last].Instr
	number := strings.ReplaceAll(at, ",", "")
	event, isEvent := strings.CutPrefix(number, "e")
	percent, isPercent := strings.CutSuffix(number, "%")
	n, nerr := strconv.ParseUint(number, 10, 64)
	switch {
	case number == "" || number == "end":
		// The event that ends the process; its memory is still there.
		_, err = x.RunTo(recording.Pos{Event: last, Instr: 1 << 62})
	case number == "start":
		_, err = x.Goto(replay.Point{Pos: recording.Pos{Event: 1}})
	case nerr == nil && n <= total:
		_, err = x.ToCount(n)
	case isEvent:
		k, perr := strconv.ParseUint(event, 10, 64)
		if perr != nil || k == 0 || k > last {
			return &UsageError{fmt.Errorf("there is no event %s, the last of this process is e%d", at, last)}
		}
		_, err = x.RunTo(recording.Pos{Event: k, Instr: places[k].Instr})
	case isPercent:
		f, perr := strconv.ParseFloat(percent, 64)
		if perr != nil || f < 0 || f > 100 {
			return &UsageError{fmt.Errorf("not a percentage: %q", at)}
		}
		_, err = x.ToCount(uint64(f / 100 * float64(total)))
	case nerr == nil:
		return &UsageError{fmt.Errorf("the recording ends after %d instructions", total)}
	default:
		return &UsageError{fmt.Errorf("not a place: %q; a position, N%%, eN for an event, start or end is", at)}
	}
	return err
}

// find finds what an expression means at the place where a session stands: in the
// frames of the program's own code first, from the thread that runs next on.
func find(x *replay.Session, text string, o *LastOptions, c *native) (w *watched, in string, err error) {
	if rest, ok := strings.CutPrefix(strings.TrimSpace(text), "*"); ok {
		if w, err = findMemory(x, rest); err != nil {
			if inC, cerr := findInC(x, text, o, c); cerr == nil {
				return inC, "C", nil
			}
		}
		return w, "memory", err
	}
	path, err := cpython.ParsePath(text)
	if err != nil && !mayBeC(text) {
		return nil, "", &UsageError{err}
	}
	why := error(replay.ErrNoPython)
	if err == nil {
		if w, in, why, err = findInPython(x, path, o); err != nil || w != nil {
			return w, in, err
		}
	}
	if w, cerr := findInC(x, text, o, c); cerr == nil {
		return w, "C", nil
	} else if err != nil || !errors.Is(cerr, unwind.ErrNoSymbol) {
		return nil, "", cerr
	}
	return nil, "", fmt.Errorf("%s is nothing in any frame there (%w); --at names a place where it is, such as a position that pyrr print shows", text, why)
}

// findInPython looks for a path in the frames of Python; w is nil where it is in none,
// and why says why not.
func findInPython(x *replay.Session, path cpython.Path, o *LastOptions) (w *watched, in string, why, err error) {
	why = replay.ErrNoPython
	err = x.With(func(p *replay.Process, cur *replay.Thread) error {
		rt, err := p.Runtime()
		if err != nil {
			return err
		}
		var own, others []*watched
		for _, f := range framesFor(rt, p, cur, o) {
			one := &watched{path: path, frame: f.Frame, tid: f.tid}
			if f.File != "" && f.File[0] != '<' && !stack.IsLibrary(f.File) {
				own = append(own, one)
			} else {
				others = append(others, one)
			}
		}
		for _, one := range append(own, others...) {
			if _, err := rt.Resolve(p.Mem(), one.frame, path); err != nil {
				if errors.Is(why, replay.ErrNoPython) {
					why = err
				}
				continue
			}
			owner, ok, err := rt.Owner(p.Mem(), one.frame, path)
			if err == nil && ok {
				one.owner = &owner
			}
			w, in = one, one.frame.Func
			return nil
		}
		return nil
	})
	return w, in, why, err
}

// where a frame is: of a thread, or of a task that waits, whose tid is 0.
type foundFrame struct {
	cpython.Frame
	tid int32
}

// framesFor lists the frames in which an expression may be meant: those of the threads,
// then those of the tasks that wait.
func framesFor(rt *cpython.Runtime, p *replay.Process, cur *replay.Thread, o *LastOptions) []foundFrame {
	var out []foundFrame
	take := func(frames []cpython.Frame, tid int32) {
		for _, f := range frames {
			if o.In == "" || f.Func == o.In || strings.HasSuffix(f.Func, "."+o.In) {
				out = append(out, foundFrame{f, tid})
			}
		}
	}
	for _, t := range inOrder(p, cur) {
		name := ""
		if pt, err := p.PyThread(t); err == nil {
			name = pt.Name
		}
		if o.Thread == "" || isThread(o.Thread, t.TID, name) {
			frames, _ := p.PyFrames(t, 0) // those that can be read
			take(frames, t.TID)
		}
	}
	tasks, _ := rt.Tasks(p.Mem())
	for i := range tasks {
		if o.Thread == "" || isThread(o.Thread, 0, tasks[i].Name) {
			take(tasks[i].Frames, 0)
		}
	}
	return out
}

// frameThere says whether the frame of the variable is there: on the stack of its
// thread, or in a task, on whose behalf any thread may run it.
func (w *watched) frameThere(rt *cpython.Runtime, p *replay.Process) error {
	is := func(f cpython.Frame) bool { return f.Addr == w.frame.Addr && f.Code == w.frame.Code }
	var all error
	for tid, t := range p.Threads() {
		if w.tid != 0 && tid != w.tid {
			continue
		}
		frames, err := p.PyFrames(t, 0)
		if slices.ContainsFunc(frames, is) {
			return nil
		}
		all = errors.Join(all, err)
	}
	if w.tid == 0 {
		tasks, _ := rt.Tasks(p.Mem()) // those that can be read
		if slices.ContainsFunc(tasks, func(t cpython.Task) bool { return slices.ContainsFunc(t.Frames, is) }) {
			return nil
		}
		return errNotThere
	}
	return errors.Join(errNotThere, all)
}

// inOrder lists the threads of a process, the current one first.
func inOrder(p *replay.Process, cur *replay.Thread) []*replay.Thread {
	var out []*replay.Thread
	for _, t := range p.Threads() {
		if t != cur {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b *replay.Thread) int { return int(a.TID) - int(b.TID) })
	if cur != nil {
		out = slices.Insert(out, 0, cur)
	}
	return out
}

// now reads the value where a session stands.
func (w *watched) now(x *replay.Session) (out worth, err error) {
	if w.mem != nil {
		b := make([]byte, 8)
		if err := x.Memory().ReadAt(b[:w.mem.Len], w.mem.Addr); err != nil {
			return out, err
		}
		v := binary.LittleEndian.Uint64(b)
		return worth{addr: v, text: w.inC(x, v), word: *w.mem}, nil
	}
	err = x.With(func(p *replay.Process, _ *replay.Thread) error {
		rt, err := p.Runtime()
		if err != nil {
			return err
		}
		var o cpython.Found
		if w.owner != nil {
			o, err = rt.Again(p.Mem(), *w.owner, w.path)
		} else {
			if err := w.frameThere(rt, p); err != nil {
				return err
			}
			o, err = rt.Resolve(p.Mem(), w.frame, w.path)
		}
		out = worth{addr: o.Addr, text: o.Text, word: replay.Watch{Addr: o.At, Len: 8}}
		return err
	})
	return out, err
}

// writes says whether an event writes into the watched memory, which the
// processor does not tell of.
func (w *watched) writes(slot replay.Watch) func(*recording.Event) bool {
	if w.mem == nil {
		return nil
	}
	return func(ev *recording.Event) bool {
		return slices.ContainsFunc(ev.Mem, func(m recording.Write) bool {
			return m.Addr < slot.Addr+uint64(slot.Len) && slot.Addr < m.Addr+uint64(len(m.Data))
		})
	}
}

// changeBefore goes back to where a value got what it is, and says what it was
// there.
func (a *asked) changeBefore(x *replay.Session, w *watched, cur worth) (*Change, worth, error) {
	for {
		if err := x.SetWatches([]replay.Watch{cur.word}); err != nil {
			return nil, cur, err
		}
		st, err := x.ReverseContinue(w.writes(cur.word))
		if err != nil {
			return nil, cur, err
		}
		switch st.Kind {
		case replay.StopStart:
			c := &Change{After: cur.text, Ever: true}
			c.Moment, _ = a.standing(x, st)
			return c, cur, nil
		case replay.StopInterrupted:
			return nil, cur, errors.New("interrupted")
		case replay.StopWatch:
			// From behind the change to before it.
			if st, err = x.ReverseStepInstr(); err != nil {
				return nil, cur, err
			}
		}
		before, err := w.now(x)
		if err == nil && before.addr == cur.addr {
			cur.word = before.word // the same value, or a dict that grew
			continue
		}
		c := &Change{Before: before.text, After: cur.text, Made: err != nil}
		c.Moment, c.Stack = a.standing(x, st)
		return c, before, nil
	}
}

// standing is the moment at which a session stands, and the Python stack there.
func (a *asked) standing(x *replay.Session, st *replay.Stop) (Moment, []stack.Frame) {
	info := x.Proc()
	m := Moment{Process: info.ID, PID: info.PID, Pos: st.Point.Pos, TID: st.TID,
		Time: a.timeBefore(info.ID, st.Point.Event), Thread: a.name(info.ID, st.TID, st.Point.Event)}
	var out []stack.Frame
	_ = x.With(func(p *replay.Process, cur *replay.Thread) error {
		if cur == nil {
			return nil
		}
		if m.Thread == "" {
			if pt, err := p.PyThread(cur); err == nil {
				m.Thread = pt.Name
			}
		}
		frames, err := p.PyFrames(cur, 0)
		for i := range frames {
			out = append(out, frames[i].Frame)
		}
		return err // no Python: there is no stack to show
	})
	if len(out) > 0 {
		m.frame(&out[0])
	}
	return m, out
}
