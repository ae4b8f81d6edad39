package console

import (
	"errors"
	"fmt"
	"slices"

	"pyrr/cpython"
	"pyrr/internal/backtrace"
	"pyrr/internal/printable"
	"pyrr/internal/stack"
	"pyrr/replay"
)

// valueWatch is a watchpoint on a variable, an attribute or an item: the
// processor watches the word that points to its value.
type valueWatch struct {
	path  cpython.Path
	owner *cpython.Found // of which the last step is followed, nil for a variable
	frame cpython.Frame  // of a variable
	tid   int32
	last  cpython.Found
}

// resolve follows an expression from the selected frame.
func (c *Console) resolve(path cpython.Path) (cpython.Found, error) {
	w, err := c.newValueWatch(path)
	if err != nil {
		return cpython.Found{}, err
	}
	return w.last, nil
}

func (c *Console) newValueWatch(path cpython.Path) (*valueWatch, error) {
	f, err := c.pythonFrame()
	if err != nil {
		return nil, err
	}
	w := &valueWatch{path: path, frame: *f.Python, tid: c.tid}
	err = c.x.With(func(p *replay.Process, _ *replay.Thread) error {
		rt, err := p.Runtime()
		if err != nil {
			return err
		}
		owner, ok, err := rt.Owner(p.Mem(), w.frame, path)
		if err != nil {
			return err
		}
		if ok {
			w.owner = &owner
		}
		w.last, err = rt.Resolve(p.Mem(), w.frame, path)
		return err
	})
	return w, err
}

var errFrameEnded = errors.New("its function has returned, or was not called yet")

// now reads the value as it is at this place of the recording.
func (w *valueWatch) now(c *Console) (o cpython.Found, err error) {
	err = c.x.With(func(p *replay.Process, _ *replay.Thread) error {
		rt, err := p.Runtime()
		if err != nil {
			return err
		}
		if w.owner != nil {
			o, err = rt.Again(p.Mem(), *w.owner, w.path)
			return err
		}
		t := p.Threads()[w.tid]
		if t == nil {
			return errFrameEnded
		}
		pt, err := p.PyThread(t)
		if err != nil {
			return err
		}
		frames, _ := rt.Frames(p.Mem(), pt, cpython.Options{})
		if !slices.ContainsFunc(frames, func(f cpython.Frame) bool { return f.Addr == w.frame.Addr && f.Code == w.frame.Code }) {
			return errFrameEnded
		}
		o, err = rt.Resolve(p.Mem(), w.frame, w.path)
		return err
	})
	return o, err
}

// watchValue stops when a variable, an attribute or an item gets another
// value.
func (c *Console) watchValue(args string) error {
	path, err := cpython.ParsePath(args)
	if err != nil {
		return fmt.Errorf("watch: %w; memory is watched by *ADDRESS", err)
	}
	w, err := c.newValueWatch(path)
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	k := &consoleBreak{n: c.nextBreak, text: "watch " + path.String(), watch: &replay.Watch{Addr: w.last.At, Len: 8}, value: w}
	if err := c.addWatch(k); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "Hardware watchpoint %d: %s\n", k.n, printable.Line(path.String()))
	return nil
}

// changed says what a stop at watched memory has changed, "" for nothing that
// is watched. Going backwards it first goes to the place before the change.
func (c *Console) changed(back bool) (string, error) {
	values := 0
	for _, k := range slices.Clone(c.breaks) {
		if k.watch == nil || k.off {
			continue
		}
		values++
		if back && values == 1 {
			if _, err := c.x.ReverseStepInstr(); err != nil {
				return "", err
			}
		}
		if w := k.raw; w != nil {
			before := w.text
			if w.read(c, k.watch) {
				k.hits++
				c.at = k
				return changeText(k, w.name, before, w.text), nil
			}
			continue
		}
		w := k.value
		o, err := w.now(c)
		name := printable.Line(w.path.String())
		switch {
		case err != nil:
			c.breaks = slices.DeleteFunc(c.breaks, func(x *consoleBreak) bool { return x == k })
			c.install()
			return fmt.Sprintf("Watchpoint %d deleted: %s can't be followed any further: %v", k.n, name, err), nil
		case o.At != w.last.At:
			// A dict that grew, say.
			k.watch = &replay.Watch{Addr: o.At, Len: 8}
			c.install()
		}
		old := w.last
		w.last = o
		if o.Addr != old.Addr || o.Text != old.Text {
			k.hits++
			c.at = k
			return changeText(k, w.path.String(), old.Text, o.Text), nil
		}
	}
	return "", nil
}

func changeText(k *consoleBreak, name, before, after string) string {
	return fmt.Sprintf("Hardware watchpoint %d: %s\n\nOld value = %s\nNew value = %s", k.n, printable.Line(name), printable.Line(before), printable.Line(after))
}

// note takes the values of watched variables as they are, after a move that
// was no run.
func (c *Console) note() {
	for _, k := range c.breaks {
		if k.raw != nil && !k.off {
			k.raw.read(c, k.watch)
		}
		if k.value == nil {
			continue
		}
		if o, err := k.value.now(c); err == nil {
			if k.value.last = o; o.At != k.watch.Addr {
				k.watch = &replay.Watch{Addr: o.At, Len: 8}
				c.install()
			}
		}
	}
}

// onPython selects the innermost Python frame, if there is one.
func (c *Console) onPython() {
	frames, err := c.Frames(c.tid)
	if i := slices.IndexFunc(frames, func(f backtrace.Frame) bool { return f.Kind == stack.Python }); err == nil && i >= 0 {
		c.frame = i
	}
}

// lastValue goes back to where an attribute, an item or a variable of any
// frame got the value that it has.
func (c *Console) lastValue(args string) error {
	path, err := cpython.ParsePath(args)
	if err != nil {
		return fmt.Errorf("last: %w", err)
	}
	w, err := c.newValueWatch(path)
	if err != nil {
		return fmt.Errorf("last: %w", err)
	}
	saved := c.breaks
	c.breaks = []*consoleBreak{{watch: &replay.Watch{Addr: w.last.At, Len: 8}, value: w}}
	c.install()
	defer func() {
		c.breaks = saved
		c.install()
	}()
	now := w.last
	for {
		st, err := c.x.ReverseContinue(nil)
		if err != nil {
			return err
		}
		if st.Kind != replay.StopWatch {
			if st.Kind == replay.StopStart {
				fmt.Fprintf(c.out, "%s has its value %s since the beginning of the recording\n", printable.Line(args), printable.Line(now.Text))
			}
			return c.arrived(st, false)
		}
		// From behind the change to before it.
		if st, err = c.x.ReverseStepInstr(); err != nil {
			return err
		}
		before, err := w.now(c)
		switch {
		case err != nil:
			fmt.Fprintf(c.out, "%s got its value %s here\n", printable.Line(args), printable.Line(now.Text))
		case before.Addr == now.Addr && before.At == c.breaks[0].watch.Addr:
			continue
		case before.Addr == now.Addr:
			c.breaks[0].watch = &replay.Watch{Addr: before.At, Len: 8}
			c.install()
			continue
		default:
			fmt.Fprintf(c.out, "%s was %s before this line, %s after it\n", printable.Line(args), printable.Line(before.Text), printable.Line(now.Text))
		}
		c.tid = st.TID
		c.frame = 0
		c.onPython()
		return c.showPlace()
	}
}
