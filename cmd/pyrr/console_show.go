package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/linux"
	"pyrr/internal/mem"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
	"pyrr/replay"
)

// arrived says where a move has led and why it ended there.
func (c *console) arrived(st *replay.Stop, run bool) error {
	c.frame, c.listed = 0, ""
	states := c.stateOfThreads()
	for _, t := range states {
		if !c.seen[t.TID] {
			c.seen[t.TID] = true
			if run {
				fmt.Fprintf(c.u.out, "[New Thread %d]\n", t.TID)
			}
		}
	}
	if st.TID != 0 && st.TID != c.tid {
		if c.tid != 0 && len(states) > 1 {
			fmt.Fprintf(c.u.out, "[Switching to Thread %d]\n", st.TID)
		}
		c.tid = st.TID
	}
	name := fmt.Sprintf("Thread %d %q", c.threads[c.tid], c.threadName(c.tid))
	switch st.Kind {
	case replay.StopBreak:
		what := "stopped"
		for _, k := range c.breaks {
			if k.b == nil || !slices.Contains(st.Hit.Breaks, k.b) || k.hidden {
				continue
			}
			k.hits++
			what = fmt.Sprintf("hit Breakpoint %d", k.n)
			if k.b.Kind == replay.BreakRaise && st.Hit.Exception != nil {
				what = fmt.Sprintf("hit Catchpoint %d (raise %s)", k.n, cleanLine(st.Hit.Exception.Text))
			}
			if k.temp {
				c.breaks = slices.DeleteFunc(c.breaks, func(o *consoleBreak) bool { return o == k })
				c.install()
			}
			break
		}
		fmt.Fprintf(c.u.out, "\n%s %s, ", name, what)
		return c.showPlace()
	case replay.StopEvent:
		fmt.Fprintf(c.u.out, "\n%s at event %d: %s\n", name, st.Point.Event, cleanLine(newView(st.Event, nil, openCalls{}).text))
		return c.showPlace()
	case replay.StopWatch:
		fmt.Fprintf(c.u.out, "\n%s changed watched memory, ", name)
		return c.showPlace()
	case replay.StopEnd:
		fmt.Fprintln(c.u.out, "\nThe recording ends here.")
		return nil
	case replay.StopStart:
		fmt.Fprintln(c.u.out, "\nThis is the beginning of the recording.")
		return nil
	case replay.StopInterrupted:
		fmt.Fprintln(c.u.out, "\nInterrupted.")
	}
	return c.showPlace()
}

// showPlace prints the selected frame and, of Python, its source line.
func (c *console) showPlace() error {
	frames, err := c.frames(c.tid, &btFlags{args: true})
	if err != nil || len(frames) == 0 {
		fmt.Fprintln(c.u.out, "nothing is known of the stack here")
		return nil
	}
	c.printFrame(&frames[min(c.frame, len(frames)-1)])
	return nil
}

func (c *console) printFrame(f *btFrame) {
	if f.Kind == stack.Python {
		fmt.Fprintf(c.u.out, "%s () at %s:%d\n", cleanLine(f.Func), cleanLine(f.File), f.Line)
		if text, ok := c.sourceLine(f.File, f.Line); ok {
			fmt.Fprintf(c.u.out, "%d\t%s\n", f.Line, cleanLine(text))
		}
		return
	}
	place := ""
	if p := placeText(f); p != "" && f.File != "" {
		place = " at " + p
	} else if f.Module != "" {
		place = " from " + f.Module
	}
	text := functionText(f)
	if !f.debug {
		text += " ()"
	}
	fmt.Fprintf(c.u.out, "%s%s\n", cleanLine(text), cleanLine(place))
}

// sourceLine gives a line of a file as the recording has it.
func (c *console) sourceLine(file string, line int) (string, bool) {
	text := c.sourceText(file)
	if line < 1 || line > len(text) {
		return "", false
	}
	return text[line-1], true
}

func (c *console) sourceText(file string) []string {
	files, err := c.rec.Sources()
	if err != nil {
		return nil
	}
	text, ok := files[file]
	if !ok {
		return nil
	}
	return strings.Split(string(text), "\n")
}

// frames reads the merged stack of a thread.
func (c *console) frames(tid int32, f *btFlags) ([]btFrame, error) {
	var out []btFrame
	err := c.x.With(func(p *replay.Process, _ *replay.Thread) error {
		t := p.Threads()[tid]
		if t == nil {
			return fmt.Errorf("there is no thread %d here", tid)
		}
		code := newCodeMap()
		for _, m := range p.Modules() {
			code.follow(c.rec, c.w.images, p.Mem(), &recording.Event{Maps: []recording.Mapping{{Start: m.Start, End: m.Start + 1, File: m.File, Name: m.Name}}})
		}
		code.follow(c.rec, c.w.images, p.Mem(), &recording.Event{Maps: p.Engine()})
		c.w.procs[p.Info.ID] = &walkedProcess{code: code, numbers: map[int32]int{}, tries: map[int32]uint64{}}
		rt, all, _ := c.w.threads(p)
		out = c.w.frames(p, t, rt, all, f)
		return nil
	})
	return slices.DeleteFunc(out, func(fr btFrame) bool { return fr.Eval }), err
}

func (c *console) backtrace(args string) error {
	frames, err := c.frames(c.tid, &btFlags{args: true})
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
	printGDB(c.u, &btFlags{}, &btStack{frames: frames})
	return nil
}

func (c *console) pythonBacktrace(string) error {
	var out []btFrame
	err := c.x.With(func(*replay.Process, *replay.Thread) error { return nil })
	if err == nil {
		out, err = c.frames(c.tid, &btFlags{})
	}
	if err != nil {
		return err
	}
	printOpenResty(c.u, &btFlags{}, &btStack{frames: out})
	return nil
}

func (c *console) selectFrame(args string) error {
	if args != "" {
		n, err := strconv.Atoi(args)
		if err != nil || n < 0 {
			return fmt.Errorf("not a frame: %q", args)
		}
		return c.toFrame(n)
	}
	return c.toFrame(c.frame)
}

func (c *console) moveFrame(args string, by int) error {
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

func (c *console) toFrame(n int) error {
	frames, err := c.frames(c.tid, &btFlags{args: true})
	if err != nil {
		return err
	}
	if n >= len(frames) {
		return errors.New("the outermost frame is selected, there is none further up")
	}
	c.frame, c.listed = n, ""
	fmt.Fprintf(c.u.out, "#%-3d", n)
	c.printFrame(&frames[n])
	return nil
}

// pythonFrame returns the selected frame, or the next one that is Python's.
func (c *console) pythonFrame() (*btFrame, error) {
	frames, err := c.frames(c.tid, &btFlags{locals: true})
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

func (c *console) localNames() []string {
	f, err := c.pythonFrame()
	if err != nil {
		return nil
	}
	var out []string
	for _, v := range f.locals {
		out = append(out, v.Name)
	}
	return out
}

// threadName is a thread's name in Python, or that of its program.
func (c *console) threadName(tid int32) string {
	name := ""
	c.x.With(func(p *replay.Process, _ *replay.Thread) error {
		name = path.Base(p.Info.Exe)
		rt, all, _ := c.w.threads(p)
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
	return cleanLine(name)
}

func (c *console) threadByName(s string) (int32, error) {
	n, err := strconv.Atoi(s)
	for tid, k := range c.threads {
		if err == nil && (k == n || int(tid) == n) || err != nil && c.threadName(tid) == s {
			return tid, nil
		}
	}
	return 0, fmt.Errorf("there is no thread %s", s)
}

func (c *console) selectThread(args string) error {
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
	fmt.Fprintf(c.u.out, "[Thread %d (%d) %q]\n", c.threads[c.tid], c.tid, c.threadName(c.tid))
	return c.showPlace()
}

func (c *console) info(args string) error {
	what, rest, _ := strings.Cut(args, " ")
	topics := []struct {
		name string
		run  func(string) error
	}{
		{"breakpoints", func(string) error { return c.infoBreaks() }},
		{"threads", func(string) error { return c.infoThreads() }},
		{"locals", func(string) error { return c.infoLocals(false) }},
		{"args", func(string) error { return c.infoLocals(true) }},
		{"registers", func(string) error { return c.infoRegisters() }},
		{"events", c.events},
		{"processes", func(string) error { return c.infoProcesses() }},
		{"inferiors", func(string) error { return c.infoProcesses() }},
		{"checkpoints", func(string) error { return c.infoCheckpoints() }},
		{"source", func(string) error { return c.infoSource() }},
	}
	for _, t := range topics {
		if what != "" && strings.HasPrefix(t.name, what) {
			return t.run(rest)
		}
	}
	return errors.New("info: breakpoints, threads, locals, args, registers, events, processes, checkpoints or source")
}

func (c *console) infoThreads() error {
	rows := [][]string{{"", "Id", "Thread", "Name", "In"}}
	for _, t := range c.stateOfThreads() {
		mark, in := "", ""
		if t.TID == c.tid {
			mark = "*"
		}
		if t.Call != nil {
			in = newView(t.Call, nil, openCalls{}).text
		} else if fs, err := c.frames(t.TID, &btFlags{}); err == nil && len(fs) > 0 {
			in = functionText(&fs[0])
			if p := placeText(&fs[0]); p != "" {
				in += " at " + p
			}
		}
		rows = append(rows, []string{mark, strconv.Itoa(c.threads[t.TID]), strconv.Itoa(int(t.TID)), c.threadName(t.TID), cleanLine(in)})
	}
	table(c.u.out, nil, rows)
	return nil
}

func (c *console) infoLocals(args bool) error {
	f, err := c.pythonFrame()
	if err != nil {
		return err
	}
	none := true
	for _, v := range f.locals {
		if !args || v.Arg {
			fmt.Fprintf(c.u.out, "%s = %s\n", cleanLine(v.Name), cleanLine(v.Value))
			none = false
		}
	}
	switch {
	case f.localsErr != "":
		return errors.New(f.localsErr)
	case none:
		fmt.Fprintln(c.u.out, "No locals.")
	}
	return nil
}

// registerNames are in the order of gdb's info registers.
var registerNames = []string{"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "eflags", "fs_base", "gs_base"}

func registerValues(r *linux.Regs) []uint64 {
	return []uint64{r.Rax, r.Rbx, r.Rcx, r.Rdx, r.Rsi, r.Rdi, r.Rbp, r.Rsp, r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15, r.Rip, r.Eflags, r.FsBase, r.GsBase}
}

func (c *console) register(name string) (uint64, bool) {
	if name == "pc" {
		name = "rip"
	}
	if name == "sp" {
		name = "rsp"
	}
	for _, t := range c.stateOfThreads() {
		if i := slices.Index(registerNames, name); t.TID == c.tid && i >= 0 {
			return registerValues(&t.Regs)[i], true
		}
	}
	return 0, false
}

func (c *console) infoRegisters() error {
	for _, t := range c.stateOfThreads() {
		if t.TID == c.tid {
			for i, v := range registerValues(&t.Regs) {
				fmt.Fprintf(c.u.out, "%-15s%-19s%d\n", registerNames[i], fmt.Sprintf("%#x", v), int64(v))
			}
		}
	}
	return nil
}

func (c *console) infoProcesses() error {
	rows := [][]string{{"", "Num", "Pid", "Command"}}
	for _, p := range c.x.Procs() {
		mark := ""
		if p.ID == c.x.Proc().ID {
			mark = "*"
		}
		rows = append(rows, []string{mark, strconv.Itoa(p.ID), strconv.Itoa(p.PID), cleanLine(strings.Join(p.Argv, " "))})
	}
	table(c.u.out, nil, rows)
	return nil
}

func (c *console) infoCheckpoints() error {
	for i, pt := range c.x.Checkpoints() {
		fmt.Fprintf(c.u.out, "%4d  instruction %s, event %d\n", i, grouped(pt.Instr), pt.Event)
	}
	return nil
}

func (c *console) infoSource() error {
	f, err := c.pythonFrame()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.u.out, "%s, %d lines in the recording\n", cleanLine(f.File), len(c.sourceText(f.File)))
	return nil
}

// list prints ten lines around the selected place, then on from there.
func (c *console) list(args string) error {
	const lines = 10
	f, err := c.pythonFrame()
	if err != nil && args == "" {
		return err
	}
	from := 0
	switch m := fileLine.FindStringSubmatch(args); {
	case m != nil:
		files, err := c.rec.Sources()
		if err != nil {
			return err
		}
		c.listed = ""
		for name := range files {
			if name == m[1] || strings.HasSuffix(name, "/"+m[1]) {
				c.listed = name
			}
		}
		n, _ := strconv.Atoi(m[2])
		from = n - lines/2
	case isNumber(args):
		n, _ := strconv.Atoi(args)
		if c.listed == "" && f != nil {
			c.listed = f.File
		}
		from = n - lines/2
	case c.listed != "":
		from = c.shown + 1
	default:
		c.listed, from = f.File, f.Line-lines/2
	}
	text := c.sourceText(c.listed)
	if len(text) == 0 {
		return fmt.Errorf("the recording has no source of %s", cmpOr(c.listed, args))
	}
	from = max(from, 1)
	if from > len(text) {
		return fmt.Errorf("line %d is beyond the end of %s (%d lines)", from, c.listed, len(text))
	}
	for n := from; n < from+lines && n <= len(text); n++ {
		fmt.Fprintf(c.u.out, "%d\t%s\n", n, cleanLine(text[n-1]))
		c.shown = n
	}
	return nil
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// address reads a number or a register.
func (c *console) address(s string) (uint64, error) {
	s = strings.TrimSpace(s)
	if name, ok := strings.CutPrefix(s, "$"); ok {
		if v, ok := c.register(name); ok {
			return v, nil
		}
		return 0, fmt.Errorf("there is no register %s", s)
	}
	v, err := strconv.ParseUint(s, 0, 64)
	if err == nil {
		return v, nil
	}
	found := uint64(0)
	c.x.With(func(p *replay.Process, _ *replay.Thread) error {
		if as := p.Symbol(s); len(as) > 0 {
			found = as[0]
		}
		return nil
	})
	if found == 0 {
		return 0, fmt.Errorf("not an address: %q", s)
	}
	return found, nil
}

// print prints a variable of the selected frame, C's or Python's.
func (c *console) print(args string) error {
	if strings.HasPrefix(args, "/") {
		_, args, _ = strings.Cut(args, " ")
	}
	args = strings.TrimSpace(args)
	if args == "" {
		return errors.New("print: what?")
	}
	if args[0] == '$' || args[0] >= '0' && args[0] <= '9' {
		v, err := c.address(args)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.u.out, "%#x (%d)\n", v, int64(v))
		return nil
	}
	frames, err := c.frames(c.tid, &btFlags{args: true, locals: true})
	if err != nil {
		return err
	}
	for i := c.frame; i < len(frames); i++ {
		for _, a := range frames[i].args {
			if a.Name == args {
				fmt.Fprintf(c.u.out, "%s = %s\n", args, cleanLine(a.Value))
				return nil
			}
		}
		for _, v := range frames[i].locals {
			if v.Name == args {
				fmt.Fprintf(c.u.out, "%s = %s\n", args, cleanLine(v.Value))
				return nil
			}
		}
		if frames[i].Kind == stack.Python {
			break
		}
	}
	return fmt.Errorf("no symbol %q in the current context", args)
}

// examine prints memory as gdb's x does.
func (c *console) examine(args string) error {
	n, format, unit := 1, byte('x'), byte('g')
	if f, rest, ok := strings.Cut(strings.TrimPrefix(args, "/"), " "); ok && strings.HasPrefix(args, "/") {
		args = rest
		digits := strings.TrimRight(f, "abcdefghijklmnopqrstuvwxyz")
		if digits != "" {
			v, err := strconv.Atoi(digits)
			if err != nil || v < 1 || v > 4096 {
				return fmt.Errorf("x: not a number of units: %q", digits)
			}
			n = v
		}
		for _, ch := range []byte(f[len(digits):]) {
			if strings.IndexByte("bhwg", ch) >= 0 {
				unit = ch
			} else {
				format = ch
			}
		}
	}
	addr, err := c.address(args)
	if err != nil {
		return err
	}
	m := c.x.Memory()
	if format == 's' {
		s, _, err := mem.CString(m, addr, 4096)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.u.out, "%#x:\t%q\n", addr, s)
		return nil
	}
	size := map[byte]int{'b': 1, 'h': 2, 'w': 4, 'g': 8}[unit]
	per := 16 / size
	for i := range n {
		var b [8]byte
		at := addr + uint64(i*size)
		if err := m.ReadAt(b[:size], at); err != nil {
			return fmt.Errorf("cannot access memory at address %#x", at)
		}
		if i%per == 0 {
			fmt.Fprintf(c.u.out, "%#x:", at)
		}
		v := binary.LittleEndian.Uint64(b[:])
		switch format {
		case 'd':
			fmt.Fprintf(c.u.out, "\t%d", int64(v<<(64-8*size))>>(64-8*size))
		case 'u':
			fmt.Fprintf(c.u.out, "\t%d", v)
		default:
			fmt.Fprintf(c.u.out, "\t0x%0*x", 2*size, v)
		}
		if i%per == per-1 || i == n-1 {
			fmt.Fprintln(c.u.out)
		}
	}
	return nil
}

func (c *console) watch(args string) error {
	where, length, _ := strings.Cut(strings.TrimPrefix(args, "*"), " ")
	n := 8
	if length != "" {
		v, err := strconv.Atoi(strings.TrimSpace(length))
		if err != nil {
			return fmt.Errorf("watch: not a length: %q", length)
		}
		n = v
	}
	a, err := c.address(where)
	if err != nil {
		return err
	}
	w := replay.Watch{Addr: a, Len: n}
	if err := c.x.SetWatches([]replay.Watch{w}); err != nil {
		return err
	}
	k := &consoleBreak{n: c.nextBreak, text: fmt.Sprintf("watch %#x, %d bytes", a, n), watch: &w}
	c.add(k)
	fmt.Fprintf(c.u.out, "Hardware watchpoint %d: %#x\n", k.n, a)
	return nil
}

// lastChange goes back line by line to where a local variable got the value
// that it has.
func (c *console) lastChange(args string) error {
	if args == "" {
		return errors.New("last: which variable?")
	}
	value := func() (string, uint64, bool) {
		var text string
		var frame uint64
		ok := false
		c.x.With(func(p *replay.Process, cur *replay.Thread) error {
			rt, err := p.Runtime()
			if err != nil || cur == nil {
				return err
			}
			pt, err := p.PyThread(cur)
			if err != nil {
				return err
			}
			frames, _ := rt.Frames(p.Mem(), pt, cpython.Options{Limit: 1, NextInstr: p.NextInstr(cur)})
			if len(frames) == 0 {
				return nil
			}
			frame = frames[0].Addr
			locals, _ := rt.Locals(p.Mem(), frames[0])
			for _, v := range locals {
				if v.Name == args {
					text, ok = v.Value, true
				}
			}
			return nil
		})
		return text, frame, ok
	}
	now, frame, ok := value()
	if !ok {
		return fmt.Errorf("no symbol %q in the innermost Python frame", args)
	}
	for {
		st, err := c.x.ReverseNextLine()
		if err != nil {
			return err
		}
		if st.Kind != replay.StopStep {
			return c.arrived(st, false)
		}
		if v, f, ok := value(); f != frame || !ok || v != now {
			if f == frame && ok {
				fmt.Fprintf(c.u.out, "%s was %s before this line, %s after it\n", args, cleanLine(v), cleanLine(now))
			} else {
				fmt.Fprintf(c.u.out, "%s got its value %s by this line\n", args, cleanLine(now))
			}
			return c.arrived(st, false)
		}
	}
}

// events lists the events around here.
func (c *console) events(args string) error {
	n := 10
	if args != "" {
		var err error
		if n, err = count(args); err != nil {
			return err
		}
	}
	at := c.x.Point()
	it, err := c.rec.Events(c.x.Proc().ID)
	if err != nil {
		return err
	}
	defer it.Close()
	from := uint64(0)
	if half := uint64(n / 2); at.Event > half {
		from = at.Event - half
	}
	if err := it.Seek(from); err != nil {
		return err
	}
	var ev recording.Event
	for i := from; i < from+uint64(n) && it.Next(&ev) == nil; i++ {
		mark := " "
		if i == at.Event {
			mark = ">"
		}
		fmt.Fprintf(c.u.out, "%s %12s %9s %8d  %s\n", mark, grouped(ev.Instr), "e"+strconv.FormatUint(i, 10), ev.TID, cleanLine(newView(&ev, nil, openCalls{}).text))
	}
	return nil
}
