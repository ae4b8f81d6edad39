package console

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pyrr/internal/lazyregexp"
	"pyrr/internal/linux"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
	"pyrr/replay"
)

// consoleBreak is a breakpoint of the user's: at a place, or at events.
type consoleBreak struct {
	n      int
	b      *replay.Break // nil for one at events
	event  func(*recording.Event) bool
	text   string
	temp   bool
	off    bool
	hidden bool
	hits   int
	watch  *replay.Watch
	value  *valueWatch // what of Python lies in the watched memory
	raw    *rawWatch   // or what of C

	// place is what break was given, "" for others; condition the part behind if.
	place, condition string
	dprintf          string   // what to print instead of stopping
	ignore           int      // how often it is still to be passed
	commands         []string // to run where it has stopped
}

var fileLine = lazyregexp.New(`^(.+):(\d+)$`)

// parseBreak reads a place, and what restricts it.
func (c *Console) parseBreak(args string) (*replay.Break, error) {
	b := &replay.Break{}
	place, cond, conditional := strings.Cut(args, " if ")
	if conditional {
		k, err := c.parseCondition(cond)
		if err != nil {
			return nil, err
		}
		b.Cond = k
	}
	if before, thread, ok := strings.Cut(place, " thread "); ok {
		tid, err := c.threadByName(strings.TrimSpace(thread))
		if err != nil {
			return nil, err
		}
		place, b.Thread = before, tid
	}
	place = strings.TrimSpace(place)
	m := fileLine().FindStringSubmatch(place)
	file, fn, inFile := strings.Cut(place, "::")
	switch {
	case place == "":
		return nil, errors.New("where? FILE:LINE, FILE::FUNCTION, FUNCTION or *ADDRESS")
	case place[0] == '*':
		a, err := c.number(place[1:])
		if err != nil {
			return nil, err
		}
		b.Kind, b.Addr = replay.BreakAddr, a
	case inFile:
		b.Kind, b.File, b.Func = replay.BreakCall, file, fn
	case m != nil:
		b.Kind, b.File = replay.BreakLine, m[1]
		b.Line, _ = strconv.Atoi(m[2])
		if p, ok := c.lineOfC(b.File, b.Line); ok {
			b.Kind, b.Code = replay.BreakCode, &p.code
		}
	case strings.HasPrefix(place, "python:"):
		b.Kind, b.Func = replay.BreakCall, strings.TrimPrefix(place, "python:")
	case isNumber(place):
		b.Line, _ = strconv.Atoi(place)
		if sel, err := c.selected(); err == nil && sel != nil && sel.Kind != stack.Python && sel.File != "" {
			if p, ok := c.lineOfC(sel.File, b.Line); ok {
				b.Kind, b.File, b.Code = replay.BreakCode, sel.File, &p.code
				break
			}
		}
		f, err := c.pythonFrame()
		if err != nil {
			return nil, err
		}
		b.Kind, b.File = replay.BreakLine, f.File
	default:
		c.breakFunction(b, place)
	}
	return b, nil
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 32)
	return err == nil
}

func (c *Console) setBreak(args string, temp bool) error {
	b, err := c.parseBreak(args)
	if err != nil {
		return err
	}
	k := &consoleBreak{n: c.nextBreak, b: b, text: args, place: args, temp: temp}
	_, k.condition, _ = strings.Cut(args, " if ")
	c.add(k)
	kind := "Breakpoint"
	if temp {
		kind = "Temporary breakpoint"
	}
	what, where := b.String(), ""
	if b.Kind == replay.BreakSymbol || b.Kind == replay.BreakCode {
		what = strings.TrimPrefix(what, "enter ")
		where = " (pending: its library is not loaded yet)"
		if a, ok := c.loadedBreak(b); ok {
			where = fmt.Sprintf(" at %#x", a)
		}
	}
	if b.Kind == replay.BreakCall && b.Code != nil {
		what += ", and of C " + b.Func
	}
	fmt.Fprintf(c.out, "%s %d%s: %s\n", kind, k.n, where, printable.Line(what))
	if why := c.neverHit(b); why != "" {
		fmt.Fprintln(c.out, why)
	}
	if sum, ok := c.rec.Summary(); ok && sum.Instructions == 0 && (b.Kind == replay.BreakCall || b.Kind == replay.BreakReturn || b.Kind == replay.BreakLine) {
		fmt.Fprintln(c.out, "It will not be hit: no instructions were counted in this recording (pyrr doctor says why).")
	}
	return nil
}

// loaded says where the first of some code is mapped here.
func (c *Console) loaded(code []replay.CodeAt) (addr uint64, ok bool) {
	return c.loadedBreak(&replay.Break{Kind: replay.BreakCode, Code: &code})
}

func (c *Console) loadedBreak(b *replay.Break) (addr uint64, ok bool) {
	err := c.x.With(func(p *replay.Process, _ *replay.Thread) error {
		var found []uint64
		if b.Kind == replay.BreakSymbol {
			found = p.Symbol(b.Name)
		} else {
			found = p.Places(*b.Code)
		}
		if ok = len(found) > 0; ok {
			addr = found[0]
		}
		return nil
	})
	return addr, ok && err == nil
}

func (c *Console) add(k *consoleBreak) {
	c.nextBreak++
	c.breaks = append(c.breaks, k)
	c.install()
}

// install tells the session which breakpoints there are.
func (c *Console) install() {
	var list []*replay.Break
	var watches []replay.Watch
	for _, k := range c.breaks {
		switch {
		case k.off:
		case k.b != nil:
			list = append(list, k.b)
		case k.watch != nil:
			watches = append(watches, *k.watch)
		}
	}
	c.x.SetBreaks(list)
	if err := c.x.SetWatches(watches); err != nil {
		fmt.Fprintln(c.out, printable.Line(err.Error()))
	}
}

// catch stops at events.
func (c *Console) catch(args string) error {
	what, name, _ := strings.Cut(args, " ")
	name = strings.TrimSpace(name)
	k := &consoleBreak{n: c.nextBreak, text: "catch " + args}
	switch what {
	case "syscall":
		nr := int32(-1)
		if name != "" {
			call, ok := linux.LookupName(name)
			if !ok {
				return fmt.Errorf("there is no system call %q", name)
			}
			nr = int32(call.Nr)
		}
		k.event = func(ev *recording.Event) bool {
			return (ev.Kind == recording.KindSyscall || ev.Kind == recording.KindEnter) && (nr < 0 || ev.Nr == nr)
		}
	case "signal":
		k.event = func(ev *recording.Event) bool {
			return ev.Kind == recording.KindSignal && (name == "" || linux.Signal(int(ev.Nr)) == name)
		}
	case "thread":
		k.event = func(ev *recording.Event) bool { return ev.Child != 0 || ev.Kind == recording.KindDeath }
	case "raise", "throw":
		k.b = &replay.Break{Kind: replay.BreakRaise, Name: name}
	case "return":
		file, fn, inFile := strings.Cut(name, "::")
		if !inFile {
			file, fn = "", name
		}
		if fn == "" {
			return errors.New("catch return: of which Python function? FUNCTION or FILE::FUNCTION")
		}
		k.b = &replay.Break{Kind: replay.BreakReturn, File: file, Func: fn}
	default:
		return errors.New("catch: syscall [NAME], signal [NAME], raise [CLASS], return FUNCTION or thread")
	}
	c.add(k)
	fmt.Fprintf(c.out, "Catchpoint %d (%s)\n", k.n, strings.TrimPrefix(k.text, "catch "))
	return nil
}

// stopAt picks the events that a catchpoint waits for.
func (c *Console) stopAt() func(*recording.Event) bool {
	return func(ev *recording.Event) bool {
		return slices.ContainsFunc(c.breaks, func(k *consoleBreak) bool { return k.event != nil && !k.off && k.event(ev) })
	}
}

// chosen returns the breakpoints with the numbers given, all for none.
func (c *Console) chosen(args string) ([]*consoleBreak, error) {
	fields := strings.Fields(args)
	if len(fields) > 0 && strings.HasPrefix("breakpoints", fields[0]) {
		fields = fields[1:]
	}
	if len(fields) == 0 {
		return slices.Clone(c.breaks), nil
	}
	var out []*consoleBreak
	for _, f := range fields {
		if f == "$bpnum" { // the last one
			f = strconv.Itoa(c.nextBreak - 1)
		}
		i := slices.IndexFunc(c.breaks, func(k *consoleBreak) bool { return strconv.Itoa(k.n) == f })
		if i < 0 {
			return nil, fmt.Errorf("no breakpoint number %s", f)
		}
		out = append(out, c.breaks[i])
	}
	return out, nil
}

func (c *Console) deleteBreaks(args string) error {
	gone, err := c.chosen(args)
	if err != nil {
		return err
	}
	c.breaks = slices.DeleteFunc(c.breaks, func(k *consoleBreak) bool { return slices.Contains(gone, k) })
	c.install()
	return nil
}

func (c *Console) enable(args string, on bool) error {
	list, err := c.chosen(args)
	if err != nil {
		return err
	}
	for _, k := range list {
		k.off = !on
	}
	c.install()
	return nil
}

func (c *Console) infoBreaks() error {
	if len(c.breaks) == 0 {
		fmt.Fprintln(c.out, "No breakpoints.")
		return nil
	}
	rows := [][]string{{"Num", "Enb", "Hits", "What"}}
	for _, k := range c.breaks {
		enabled, what := "y", k.text
		if k.off {
			enabled = "n"
		}
		if k.b != nil {
			what = k.b.String()
		}
		if k.condition != "" {
			what += " if " + k.condition
		}
		if k.dprintf != "" {
			what = "printf " + k.dprintf + " at " + what
		}
		rows = append(rows, []string{strconv.Itoa(k.n), enabled, strconv.Itoa(k.hits), printable.Line(what)})
		if k.ignore > 0 {
			rows = append(rows, []string{"", "", "", fmt.Sprintf("  ignore next %d hits", k.ignore)})
		}
		for _, l := range k.commands {
			rows = append(rows, []string{"", "", "", "  " + printable.Line(l)})
		}
	}
	printable.Table(c.out, nil, rows)
	return nil
}
