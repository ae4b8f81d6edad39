package console

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/backtrace"
	"pyrr/internal/printable"
	"pyrr/internal/stack"
	"pyrr/internal/unwind"
	"pyrr/replay"
)

// Frames reads the merged stack of a thread, as bt numbers it: with the
// functions that compilers have inlined, as far as debug files tell.
func (c *Console) Frames(tid int32) ([]backtrace.Frame, error) {
	out, err := c.allFrames(tid, backtrace.Want{Args: true})
	return slices.DeleteFunc(out, func(fr backtrace.Frame) bool { return fr.Eval }), err
}

// allFrames is Frames with those of the evaluation loop, which Python frames
// stand for else.
func (c *Console) allFrames(tid int32, want backtrace.Want) ([]backtrace.Frame, error) {
	var out []backtrace.Frame
	err := c.x.With(func(p *replay.Process, _ *replay.Thread) error {
		t := p.Threads()[tid]
		if t == nil {
			return fmt.Errorf("there is no thread %d here", tid)
		}
		c.w.At(p)
		rt, all, _ := c.w.Threads(p)
		out = c.w.Frames(p, t, rt, all, want)
		return nil
	})
	return out, err
}

// backtrace prints the stack: the innermost N frames, or the outermost where N is
// negative; with full, the variables too.
func (c *Console) backtrace(args string) error {
	frames, err := c.Frames(c.tid)
	if err != nil {
		return err
	}
	full, from := false, 0
	to := len(frames)
	for _, w := range strings.Fields(args) {
		n, err := strconv.Atoi(strings.TrimPrefix(w, "+"))
		switch {
		case w == "full" || w == "-full":
			full = true
		case err != nil || n == 0:
			return fmt.Errorf("bt: not a number of frames: %q; N for the innermost, -N for the outermost, full for variables", w)
		case n > 0:
			to = min(n, len(frames))
		default:
			from = max(len(frames)+n, 0)
		}
	}
	c.data = frameData(frames, from, to)
	for i := from; i < to; i++ {
		backtrace.PrintFrame(c.out, i, &frames[i])
		if !full {
			continue
		}
		saved, out := c.frame, c.out
		var b bytes.Buffer
		c.frame, c.out = i, &b
		err := c.ownLocals(&frames[i])
		c.frame, c.out = saved, out
		if err != nil {
			fmt.Fprintln(&b, printable.Line(err.Error()))
		}
		for line := range strings.Lines(b.String()) {
			fmt.Fprint(c.out, "        ", line)
		}
	}
	if to < len(frames) {
		fmt.Fprintln(c.out, "(More stack frames follow...)")
	}
	return nil
}

// ownLocals prints the variables of a frame alone.
func (c *Console) ownLocals(f *backtrace.Frame) error {
	if f.Kind == stack.Python {
		locals, err := c.locals(f)
		for _, v := range locals {
			fmt.Fprintf(c.out, "%s = %s\n", printable.Line(v.Name), printable.Line(v.Value))
		}
		return err
	}
	return c.scope(f, func(sc *unwind.Scope) error {
		for _, v := range sc.Locals() {
			fmt.Fprintf(c.out, "%s = %s\n", printable.Line(v.Name), printable.Line(v.Value))
		}
		return nil
	})
}

// threadApply runs a command for several threads: all, or those with the numbers.
func (c *Console) threadApply(args string) error {
	which, command, _ := strings.Cut(args, " ")
	var tids []int32
	if which == "all" {
		for _, t := range c.stateOfThreads() {
			tids = append(tids, t.TID)
		}
		slices.SortFunc(tids, func(a, b int32) int { return c.threads[b] - c.threads[a] })
	} else {
		rest := strings.Fields(args)
		for len(rest) > 0 && isNumber(rest[0]) {
			tid, err := c.threadByName(rest[0])
			if err != nil {
				return err
			}
			tids, rest = append(tids, tid), rest[1:]
		}
		command = strings.Join(rest, " ")
	}
	if command = strings.TrimSpace(command); len(tids) == 0 || command == "" {
		return errors.New("thread apply all COMMAND, or thread apply N… COMMAND, as in thread apply all bt")
	}
	quiet := false
	if rest, ok := strings.CutPrefix(command, "-q "); ok {
		quiet, command = true, strings.TrimSpace(rest)
	}
	tid, frame := c.tid, c.frame
	defer func() { c.tid, c.frame = tid, frame }()
	var data []any
	for _, t := range tids {
		if !slices.ContainsFunc(c.stateOfThreads(), func(s replay.ThreadState) bool { return s.TID == t }) {
			if which != "all" { // else it has ended meanwhile
				fmt.Fprintf(c.out, "\nThread %d does not exist here\n", c.threads[t])
			}
			continue
		}
		c.tid, c.frame, c.data = t, 0, nil
		if !quiet {
			fmt.Fprintf(c.out, "\nThread %d (%d %q):\n", c.threads[t], t, c.threadName(t))
		}
		if err := c.one(command); err != nil {
			return err
		}
		data = append(data, map[string]any{"thread": t, "data": c.data})
	}
	c.last, c.data = "thread apply "+args, data
	return nil
}

func (c *Console) pythonBacktrace(string) error {
	// The C function by its symbol, as python_bt has it, not by its debug name.
	out, err := c.allFrames(c.tid, backtrace.Want{})
	if err != nil {
		return err
	}
	out = slices.DeleteFunc(out, func(f backtrace.Frame) bool { return f.Eval })
	backtrace.PrintPython(c.out, out)
	return nil
}

func (c *Console) selectFrame(args string) error {
	if name, ok := strings.CutPrefix(args, "function "); ok {
		return c.frameOf(strings.TrimSpace(name))
	}
	if level, ok := strings.CutPrefix(args, "level "); ok {
		args = strings.TrimSpace(level)
	}
	if args != "" {
		n, err := strconv.Atoi(args)
		if err != nil || n < 0 {
			return fmt.Errorf("not a frame: %q; bt numbers them, frame function NAME takes one by its function", args)
		}
		return c.toFrame(n)
	}
	return c.toFrame(c.frame)
}

// frameOf selects the innermost frame of a function, C's or Python's.
func (c *Console) frameOf(name string) error {
	frames, err := c.Frames(c.tid)
	if err != nil {
		return err
	}
	for i := range frames {
		if f := frames[i].Func; f == name || strings.HasSuffix(f, "."+name) {
			return c.toFrame(i)
		}
	}
	return fmt.Errorf("no frame for function %q; bt shows them", name)
}

func (c *Console) moveFrame(args string, by int) error {
	n, err := count(args)
	if err != nil {
		return err
	}
	frames, err := c.Frames(c.tid)
	if err != nil {
		return err
	}
	switch {
	case by < 0 && c.frame == 0:
		return errors.New("the innermost frame is selected, there is none further down")
	case by > 0 && c.frame >= len(frames)-1:
		return errors.New("the outermost frame is selected, there is none further up")
	}
	return c.toFrame(max(0, min(c.frame+n*by, len(frames)-1))) // as far as there are any
}

func (c *Console) toFrame(n int) error {
	frames, err := c.Frames(c.tid)
	if err != nil {
		return err
	}
	if n >= len(frames) {
		return fmt.Errorf("no frame at level %d", n)
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
	var out []string
	if sel, err := c.selected(); err == nil && sel != nil && sel.Kind == stack.C {
		c.scope(sel, func(sc *unwind.Scope) error { out = sc.Names(); return nil })
	}
	f, err := c.pythonFrame()
	if err != nil {
		return out
	}
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
			if regs := t.Regs(); (pt.Ident == regs.TLS() || pt.NativeID == int(tid)) && pt.Name != "" {
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
	if rest, ok := strings.CutPrefix(args, "apply "); ok {
		return c.threadApply(strings.TrimSpace(rest))
	}
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
