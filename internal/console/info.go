package console

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/backtrace"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
	"pyrr/internal/unwind"
)

func (c *Console) info(args string) error {
	what, rest, _ := strings.Cut(args, " ")
	topics := []struct {
		name string
		run  func(string) error
	}{
		{"breakpoints", func(string) error { return c.infoBreaks() }},
		{"threads", func(string) error { return c.infoThreads() }},
		{"locals", func(string) error { return c.infoLocals(false) }},
		{"args", func(string) error { return c.infoLocals(true) }},
		{"registers", c.infoRegisters},
		{"line", c.infoLine},
		{"symbol", c.infoSymbol},
		{"sharedlibrary", c.infoLibraries},
		{"display", func(string) error { return c.infoDisplay() }},
		{"frame", func(string) error { return c.selectFrame("") }},
		{"user", func(string) error { return c.infoUser() }},
		{"events", c.events},
		{"processes", func(string) error { return c.infoProcesses() }},
		{"inferiors", func(string) error { return c.infoProcesses() }},
		{"checkpoints", func(string) error { return c.infoCheckpoints() }},
		{"source", func(string) error { return c.infoSource() }},
	}
	for _, t := range topics {
		if what != "" && strings.HasPrefix(t.name, what) {
			return t.run(strings.TrimSpace(rest))
		}
	}
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.name
	}
	return errors.New("info: " + strings.Join(names, ", "))
}

func (c *Console) infoThreads() error {
	rows := [][]string{{"", "Id", "Thread", "Name", "In"}}
	for _, t := range c.stateOfThreads() {
		mark, in := "", ""
		if t.TID == c.tid {
			mark = "*"
		}
		if t.Call != nil {
			in = c.describe(t.Call)
		} else if fs, err := c.Frames(t.TID); err == nil && len(fs) > 0 {
			in = backtrace.FunctionText(&fs[0])
			if p := backtrace.PlaceText(&fs[0]); p != "" {
				in += " at " + p
			}
		}
		rows = append(rows, []string{mark, strconv.Itoa(c.threads[t.TID]), strconv.Itoa(int(t.TID)), c.threadName(t.TID), printable.Line(in)})
	}
	printable.Table(c.out, nil, rows)
	return nil
}

// variable is one of a frame, for people and for --json.
type variable struct {
	Name     string `json:"name"`
	Value    string `json:"value"`
	Language string `json:"language"`
}

// infoLocals prints the variables of the selected frame. Of one of C come those that
// its debug information has, and then those of the Python frame that it runs for.
func (c *Console) infoLocals(args bool) error {
	sel, err := c.selected()
	if err != nil {
		return err
	}
	var found []variable
	if sel != nil && sel.Kind == stack.C {
		if args {
			for _, a := range sel.Args {
				name, _, _ := strings.Cut(a.Name, "=") // n=n@entry: both are the same
				found = append(found, variable{name, a.Value, "c"})
			}
		} else if err := c.scope(sel, func(sc *unwind.Scope) error {
			for _, v := range sc.Locals() {
				found = append(found, variable{v.Name, v.Value, "c"})
			}
			return nil
		}); err != nil {
			return err
		}
	}
	native := len(found)
	f, err := c.pythonFrame()
	if err == nil {
		var locals []cpython.Variable
		locals, err = c.locals(f)
		for _, v := range locals {
			if !args || v.Arg {
				found = append(found, variable{v.Name, v.Value, "python"})
			}
		}
	} else if sel != nil && sel.Debug {
		err = nil
	}
	for i, v := range found {
		if i == native && native > 0 {
			fmt.Fprintf(c.out, "of Python, in %s:\n", printable.Line(f.Func))
		}
		fmt.Fprintf(c.out, "%s = %s\n", printable.Line(v.Name), printable.Line(v.Value))
	}
	c.data = found
	if err == nil && len(found) == 0 {
		fmt.Fprintln(c.out, "No locals.")
	}
	return err
}

func (c *Console) register(name string) (uint64, bool) {
	if own, ok := registerAlias[name]; ok {
		name = own
	}
	for _, t := range c.stateOfThreads() {
		if i := slices.Index(registerNames, name); t.TID == c.tid && i >= 0 {
			return registerValues(&t.Regs)[i], true
		}
	}
	return 0, false
}

func (c *Console) infoProcesses() error {
	rows := [][]string{{"", "Num", "Pid", "Command"}}
	for _, p := range c.x.Procs() {
		mark := ""
		if p.ID == c.x.Proc().ID {
			mark = "*"
		}
		rows = append(rows, []string{mark, strconv.Itoa(p.ID), strconv.Itoa(p.PID), printable.Line(strings.Join(p.Argv, " "))})
	}
	printable.Table(c.out, nil, rows)
	return nil
}

func (c *Console) infoCheckpoints() error {
	for i, pt := range c.x.Checkpoints() {
		fmt.Fprintf(c.out, "%4d  instruction %s, event %d\n", i, printable.Grouped(pt.Instr), pt.Event)
	}
	return nil
}

// events lists the events around here.
func (c *Console) events(args string) error {
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
	it.Brief()
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
		fmt.Fprintf(c.out, "%s %12s %9s %8d  %s\n", mark, printable.Grouped(ev.Instr), "e"+strconv.FormatUint(i, 10), ev.TID, printable.Line(c.describe(&ev)))
	}
	return nil
}

// registerOf is the value of $NAME, in the innermost frame.
func (c *Console) registerOf(text string) (uint64, bool) {
	name, ok := strings.CutPrefix(text, "$")
	if !ok || c.frame > 0 && name != "eflags" && name != "fs_base" && name != "gs_base" {
		return 0, false
	}
	return c.register(name)
}
