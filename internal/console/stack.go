package console

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"

	"pyrr/cpython"
	"pyrr/internal/backtrace"
	"pyrr/internal/printable"
	"pyrr/internal/stack"
	"pyrr/replay"
)

// Frames reads the merged stack of a thread, as bt numbers it: with the
// functions that compilers have inlined, as far as debug files tell.
func (c *Console) Frames(tid int32) ([]backtrace.Frame, error) {
	out, err := c.allFrames(tid)
	return slices.DeleteFunc(out, func(fr backtrace.Frame) bool { return fr.Eval }), err
}

// allFrames is Frames with those of the evaluation loop, which Python frames
// stand for else.
func (c *Console) allFrames(tid int32) ([]backtrace.Frame, error) {
	var out []backtrace.Frame
	err := c.x.With(func(p *replay.Process, _ *replay.Thread) error {
		t := p.Threads()[tid]
		if t == nil {
			return fmt.Errorf("there is no thread %d here", tid)
		}
		c.w.At(p)
		rt, all, _ := c.w.Threads(p)
		out = c.w.Frames(p, t, rt, all, backtrace.Want{Args: true})
		return nil
	})
	return out, err
}

func (c *Console) backtrace(args string) error {
	frames, err := c.Frames(c.tid)
	if err != nil {
		return err
	}
	if args != "" {
		n, err := count(args)
		if err != nil {
			return err
		}
		frames = frames[:min(n, len(frames))]
	}
	backtrace.PrintGDB(c.out, frames)
	return nil
}

func (c *Console) pythonBacktrace(string) error {
	out, err := c.Frames(c.tid)
	if err != nil {
		return err
	}
	backtrace.PrintPython(c.out, out)
	return nil
}

func (c *Console) selectFrame(args string) error {
	if args != "" {
		n, err := strconv.Atoi(args)
		if err != nil || n < 0 {
			return fmt.Errorf("not a frame: %q; bt numbers them", args)
		}
		return c.toFrame(n)
	}
	return c.toFrame(c.frame)
}

func (c *Console) moveFrame(args string, by int) error {
	n, err := count(args)
	if err != nil {
		return err
	}
	to := c.frame + n*by
	if to < 0 {
		return errors.New("the innermost frame is selected, there is none further down")
	}
	return c.toFrame(to)
}

func (c *Console) toFrame(n int) error {
	frames, err := c.Frames(c.tid)
	if err != nil {
		return err
	}
	if n >= len(frames) {
		return errors.New("the outermost frame is selected, there is none further up")
	}
	c.frame, c.listed = n, ""
	fmt.Fprintf(c.out, "#%-3d", n)
	c.printFrame(&frames[n])
	return nil
}

// pythonFrame returns the selected frame, or the next one further out that is
// Python's.
func (c *Console) pythonFrame() (*backtrace.Frame, error) {
	frames, err := c.Frames(c.tid)
	if err != nil {
		return nil, err
	}
	for i := c.frame; i < len(frames); i++ {
		if frames[i].Kind == stack.Python {
			return &frames[i], nil
		}
	}
	return nil, errors.New("no Python frame is selected")
}

// locals reads the variables of a Python frame.
func (c *Console) locals(f *backtrace.Frame) ([]cpython.Variable, error) {
	var out []cpython.Variable
	err := c.x.With(func(p *replay.Process, _ *replay.Thread) error {
		rt, err := p.Runtime()
		if err == nil {
			out, err = rt.Locals(p.Mem(), *f.Python)
		}
		return err
	})
	return out, err
}

func (c *Console) localNames() []string {
	f, err := c.pythonFrame()
	if err != nil {
		return nil
	}
	var out []string
	locals, _ := c.locals(f) // those before an error
	for _, v := range locals {
		out = append(out, v.Name)
	}
	return out
}

// threadName is a thread's name in Python, or that of its program.
func (c *Console) threadName(tid int32) string {
	name := ""
	c.x.With(func(p *replay.Process, _ *replay.Thread) error {
		name = path.Base(p.Info.Exe)
		rt, all, _ := c.w.Threads(p)
		t := p.Threads()[tid]
		if rt == nil || t == nil {
			return nil
		}
		for _, pt := range all {
			if regs := t.Regs(); (pt.Ident == regs.FsBase || pt.NativeID == int(tid)) && pt.Name != "" {
				name = pt.Name
			}
		}
		return nil
	})
	return printable.Line(name)
}

func (c *Console) threadByName(s string) (int32, error) {
	n, err := strconv.Atoi(s)
	for tid, k := range c.threads {
		if err == nil && (k == n || int(tid) == n) || err != nil && c.threadName(tid) == s {
			return tid, nil
		}
	}
	return 0, fmt.Errorf("there is no thread %s; info threads lists them", s)
}

func (c *Console) selectThread(args string) error {
	if args != "" {
		tid, err := c.threadByName(args)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(c.stateOfThreads(), func(t replay.ThreadState) bool { return t.TID == tid }) {
			return fmt.Errorf("thread %s does not exist here", args)
		}
		c.tid, c.frame = tid, 0
	}
	fmt.Fprintf(c.out, "[Thread %d (%d) %q]\n", c.threads[c.tid], c.tid, c.threadName(c.tid))
	return c.showPlace()
}
