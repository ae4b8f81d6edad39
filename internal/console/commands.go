package console

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// consoleCommand is a command of the console.
type consoleCommand struct {
	name    string
	aliases []string
	args    string // as help shows them
	short   string
	words   []string // that may follow
	run     func(c *Console, args string) error
}

var consoleCommands []consoleCommand

func init() {
	move := func(f func(*replay.Session) (*replay.Stop, error)) func(*Console, string) error {
		return func(c *Console, args string) error { return c.repeat(args, f) }
	}
	consoleCommands = []consoleCommand{
		{"break", []string{"b", "br"}, "PLACE [thread N] [if COND]", "stop at FILE:LINE, FILE::FUNCTION, a C or Python FUNCTION, or *ADDRESS", nil,
			func(c *Console, a string) error { return c.setBreak(a, false) }},
		{"tbreak", []string{"tb"}, "PLACE", "break once", nil, func(c *Console, a string) error { return c.setBreak(a, true) }},
		{"dprintf", nil, "PLACE,\"FORMAT\",EXPR,…", "print where a place is passed, without stopping", nil, (*Console).setDprintf},
		{"condition", nil, "N [COND]", "give a breakpoint a condition, or take it off", nil, (*Console).conditionOf},
		{"ignore", nil, "N COUNT", "pass a breakpoint by so often", nil, (*Console).ignoreNext},
		{"commands", nil, "[N…]", "run commands, up to end, where breakpoints stop", nil, (*Console).commands},
		{"silent", nil, "", "first of the commands of a breakpoint: say nothing of the stop", nil, func(*Console, string) error { return nil }},
		{"catch", nil, "syscall [NAME] | signal [NAME] | raise [CLASS] | return FUNCTION | thread", "stop at events, and where a Python function returns", []string{"syscall", "signal", "raise", "return", "thread"}, (*Console).catch},
		{"delete", []string{"d"}, "[breakpoints] [N…]", "delete breakpoints, all by default", nil, (*Console).deleteBreaks},
		{"disable", nil, "[N…]", "leave breakpoints out", nil, func(c *Console, a string) error { return c.enable(a, false) }},
		{"enable", nil, "[N…]", "put breakpoints in again", nil, func(c *Console, a string) error { return c.enable(a, true) }},
		{"continue", []string{"c"}, "[N]", "run to the next breakpoint, or the end", nil, (*Console).forward},
		{"reverse-continue", []string{"rc"}, "[N]", "go back to the last breakpoint, or the start", nil, (*Console).backward},
		{"step", []string{"s"}, "[N]", "run to the next line of Python, into calls", nil, move((*replay.Session).StepLine)},
		{"next", []string{"n"}, "[N]", "run to the next line of this Python function", nil, move((*replay.Session).NextLine)},
		{"finish", []string{"fin"}, "", "run until this Python function has returned", nil, move((*replay.Session).Finish)},
		{"stepi", []string{"si"}, "[N]", "execute one machine instruction", nil, move((*replay.Session).StepInstr)},
		{"nexti", []string{"ni"}, "[N]", "execute one machine instruction, and what it calls", nil, (*Console).nextInstr},
		{"cfinish", []string{"cfin"}, "", "run until this C function has returned", nil, (*Console).finishC},
		{"reverse-step", []string{"rs"}, "[N]", "step, backwards", nil, move((*replay.Session).ReverseStepLine)},
		{"reverse-next", []string{"rn"}, "[N]", "next, backwards", nil, move((*replay.Session).ReverseNextLine)},
		{"reverse-finish", []string{"rfin"}, "", "go back to the call of this Python function", nil, move((*replay.Session).ReverseFinish)},
		{"reverse-stepi", []string{"rsi"}, "[N]", "undo one machine instruction", nil, move((*replay.Session).ReverseStepInstr)},
		{"until", []string{"u", "advance"}, "PLACE", "run to a place", nil, (*Console).until},
		{"goto", []string{"ugo"}, "POS|N%|eN|start|end|BOOKMARK", "go to a position, an event, a bookmark", []string{"start", "end"}, (*Console).Goto},
		{"when", nil, "", "say where this is", nil, (*Console).when},
		{"bt", []string{"backtrace", "where"}, "[N|-N] [full]", "print the C and Python stack: the N innermost frames, or the outermost", nil, (*Console).backtrace},
		{"python_bt", []string{"pybt", "py-bt"}, "", "print the Python stack", nil, (*Console).pythonBacktrace},
		{"frame", []string{"f"}, "[N|function NAME]", "select a frame", nil, (*Console).selectFrame},
		{"up", nil, "[N]", "select the frame that called this one", nil, func(c *Console, a string) error { return c.moveFrame(a, 1) }},
		{"down", nil, "[N]", "select the frame that this one called", nil, func(c *Console, a string) error { return c.moveFrame(a, -1) }},
		{"thread", []string{"t"}, "[N|apply all COMMAND]", "select a thread, or run a command for several", []string{"apply all "}, (*Console).selectThread},
		{"process", []string{"inferior"}, "[N]", "travel through another process", nil, (*Console).switchProcess},
		{"info", []string{"i"}, "TOPIC", "show what there is: breakpoints, threads, locals, args, registers, line, symbol, sharedlibrary, …",
			[]string{"breakpoints", "threads", "locals", "args", "registers", "line", "symbol", "sharedlibrary", "display", "frame", "user", "events", "processes", "checkpoints", "source"}, (*Console).info},
		{"list", []string{"l"}, "[LINE|FILE:LINE|FUNCTION]", "print source lines", nil, (*Console).list},
		{"print", []string{"p", "inspect"}, "[/F] EXPR|$REGISTER", "print an expression: Python's without calls, or C's; /x /d /o /t /c", nil, (*Console).print},
		{"whatis", nil, "EXPR|TYPE", "print the type or class of an expression", nil, func(c *Console, a string) error { return c.whatIs(a, false) }},
		{"ptype", []string{"pt"}, "EXPR|TYPE", "print a type of C with its members, a Python object's attributes with their classes", nil, func(c *Console, a string) error { return c.whatIs(a, true) }},
		{"printf", nil, "\"FORMAT\",EXPR,…", "print by a format as C's printf does", nil, (*Console).printf},
		{"display", nil, "[/F] [EXPR]", "print an expression now and at each stop", nil, (*Console).addDisplay},
		{"undisplay", nil, "[N…]", "no longer display, all by default", nil, (*Console).undisplay},
		{"x", nil, "/NFU ADDRESS", "print memory: N units of size b, h, w, g as x, d, u; s for a string, i for instructions", nil, (*Console).examine},
		{"disassemble", nil, "[/r] [FUNCTION|ADDRESS|START,END|START,+LENGTH]", "print machine code", nil, (*Console).disassemble},
		{"watch", nil, "NAME[.ATTR|[ITEM]…] | *ADDRESS [LENGTH]", "stop when a variable, an attribute or memory changes", nil, (*Console).watch},
		{"last", nil, "NAME[.ATTR|[ITEM]…]", "go back to where a variable or an attribute got its value", nil, (*Console).lastChange},
		{"events", nil, "[N]", "list the events around here", nil, (*Console).events},
		{"checkpoint", nil, "", "keep a copy of the process here, to come back fast", nil, func(c *Console, _ string) error { return c.x.Keep() }},
		{"bookmark", nil, "[NAME]", "remember this place, or list what is remembered", nil, (*Console).bookmark},
		{"set", nil, "…", "gdb's settings, accepted for scripts; a recording can't be changed", nil, (*Console).set},
		{"echo", nil, "TEXT", "print a text; \\n and C's other escapes are what they are there", nil, (*Console).echo},
		{"source", nil, "FILE", "run the commands of a file", nil, (*Console).source},
		{"save", nil, "breakpoints FILE", "write the breakpoints into a file for source", []string{"breakpoints"}, (*Console).save},
		{"define", nil, "NAME", "make a command of the lines up to end; $arg0 … are its arguments", nil, (*Console).define},
		{"shell", []string{"!"}, "COMMAND", "run a command of the system's shell", nil, (*Console).shell},
		{"help", []string{"h", "?"}, "[COMMAND]", "print this", nil, (*Console).help},
		{"quit", []string{"q", "exit"}, "", "leave", nil, func(c *Console, _ string) error { c.quit = true; return nil }},
	}
}

func (c *Console) help(args string) error {
	if args != "" {
		cmd, err := findConsole(args)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s %s\n  %s\n", cmd.name, cmd.args, cmd.short)
		if len(cmd.aliases) > 0 {
			fmt.Fprintf(c.out, "  also %s\n", strings.Join(cmd.aliases, ", "))
		}
		return nil
	}
	for i := range consoleCommands {
		cmd := &consoleCommands[i]
		fmt.Fprintf(c.out, "%-17s %s\n", cmd.name, cmd.short)
	}
	fmt.Fprintln(c.out, "An empty line repeats the last command. Beginnings of names will do.")
	return nil
}

func (c *Console) source(args string) error {
	data, err := os.ReadFile(args)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := c.Do(line); err != nil || c.quit {
			return err
		}
	}
	return nil
}

// count parses the number that may follow a command.
func count(args string) (int, error) {
	if args == "" {
		return 1, nil
	}
	n, err := strconv.Atoi(args)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("not a number: %q", args)
	}
	return n, nil
}

// repeat moves a number of times, until something else stops it.
func (c *Console) repeat(args string, f func(*replay.Session) (*replay.Stop, error)) error {
	n, err := count(args)
	if err != nil {
		return err
	}
	var st *replay.Stop
	for range n {
		if st, err = f(c.x); err != nil {
			return err
		}
		if st.Kind != replay.StopStep {
			break
		}
	}
	return c.arrived(st, false)
}

func (c *Console) forward(args string) error {
	n, err := count(args)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, "Continuing.")
	var st *replay.Stop
	for range n {
		if st, err = c.run(c.x.Continue, false); err != nil {
			return err
		}
		if st.Kind == replay.StopEnd || st.Kind == replay.StopInterrupted {
			break
		}
	}
	return c.arrived(st, true)
}

func (c *Console) backward(args string) error {
	n, err := count(args)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, "Continuing backwards.")
	var st *replay.Stop
	for range n {
		if st, err = c.run(c.x.ReverseContinue, true); err != nil {
			return err
		}
		if st.Kind == replay.StopStart || st.Kind == replay.StopInterrupted {
			break
		}
	}
	return c.arrived(st, false)
}

// run goes on in one direction to the next stop. One at watched memory in
// which the value stayed what it was is none.
func (c *Console) run(move func(func(*recording.Event) bool) (*replay.Stop, error), back bool) (*replay.Stop, error) {
	c.note()
	c.at = nil
	if back && c.behind {
		st := &replay.Stop{Kind: replay.StopWatch, TID: c.tid}
		var err error
		if c.change, err = c.changed(back); err != nil || c.change != "" {
			return st, err
		}
	}
	for {
		st, err := move(c.stopAt())
		if err != nil {
			return st, err
		}
		if st.Kind != replay.StopWatch {
			var on bool
			if c.at, on = c.met(st); on {
				continue
			}
			return st, nil
		}
		if c.change, err = c.changed(back); err != nil || c.change != "" {
			return st, err
		}
	}
}

func (c *Console) until(args string) error {
	b, err := c.parseBreak(args)
	if err != nil {
		return err
	}
	c.breaks = append(c.breaks, &consoleBreak{b: b, hidden: true})
	c.install()
	defer func() {
		c.breaks = c.breaks[:len(c.breaks)-1]
		c.install()
	}()
	return c.forward("")
}

// Goto goes to a place that is named in one of many ways.
func (c *Console) Goto(args string) error {
	if args == "" {
		return errors.New("goto: where? a position, N%, eN, start, end or a bookmark")
	}
	for _, m := range c.marks {
		if m.name == args {
			return c.moved(c.x.Goto(m.at))
		}
	}
	places, err := c.x.Places()
	if err != nil {
		return err
	}
	number := strings.ReplaceAll(args, ",", "")
	switch {
	case args == "start":
		return c.moved(c.x.Goto(replay.Point{Pos: recording.Pos{Event: 1}}))
	case args == "end":
		return c.moved(c.x.RunTo(recording.Pos{Event: uint64(len(places)), Instr: 1 << 62}))
	case strings.HasSuffix(number, "%"):
		p, err := strconv.ParseFloat(strings.TrimSuffix(number, "%"), 64)
		if err != nil || p < 0 || p > 100 {
			return fmt.Errorf("goto: not a percentage: %q", args)
		}
		return c.moved(c.x.ToCount(uint64(p / 100 * float64(c.total()))))
	case number[0] == 'e':
		n, err := strconv.ParseUint(number[1:], 10, 64)
		if err != nil || n == 0 || n >= uint64(len(places)) {
			return fmt.Errorf("goto: there is no event %s, the last of this process is e%d", args, len(places)-1)
		}
		return c.moved(c.x.RunTo(recording.Pos{Event: n, Instr: places[n].Instr}))
	}
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return fmt.Errorf("goto: not a position: %q; an instruction count, N%%, eN for an event, start, end or a bookmark is", args)
	}
	if n > c.total() {
		return fmt.Errorf("goto: the recording ends after %s instructions", printable.Grouped(c.total()))
	}
	return c.moved(c.x.ToCount(n))
}

func (c *Console) moved(st *replay.Stop, err error) error {
	if err != nil {
		return err
	}
	return c.arrived(st, false)
}

func (c *Console) when(string) error {
	at := c.x.Point()
	fmt.Fprintf(c.out, "instruction %s of %s, ", printable.Grouped(at.Instr), printable.Grouped(c.total()))
	if at.At {
		fmt.Fprintf(c.out, "at event %d", at.Event)
	} else {
		fmt.Fprintf(c.out, "before event %d", at.Event)
	}
	if ev := c.x.Next(); ev != nil {
		fmt.Fprintf(c.out, " (%s), %.6f s after the beginning", printable.Line(c.describe(ev)), float64(ev.Time)/1e9)
	}
	fmt.Fprintln(c.out)
	return nil
}

func (c *Console) bookmark(args string) error {
	if args == "" {
		if len(c.marks) == 0 {
			fmt.Fprintln(c.out, "No bookmarks.")
		}
		for _, m := range c.marks {
			fmt.Fprintf(c.out, "%-20s %s, event %d\n", m.name, printable.Grouped(m.at.Instr), m.at.Event)
		}
		return nil
	}
	c.marks = slices.DeleteFunc(c.marks, func(m bookmark) bool { return m.name == args })
	c.marks = append(c.marks, bookmark{args, c.x.Point()})
	return nil
}

func (c *Console) switchProcess(args string) error {
	procs := c.x.Procs()
	if args == "" {
		return c.infoProcesses()
	}
	n, err := strconv.Atoi(args)
	if err != nil || !slices.ContainsFunc(procs, func(p recording.Process) bool { return p.ID == n }) {
		return fmt.Errorf("there is no process %q; info processes lists them", args)
	}
	if err := c.Select(n); err != nil {
		return err
	}
	return c.showPlace()
}
