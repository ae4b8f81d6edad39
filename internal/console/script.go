package console

import (
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"pyrr/internal/outfile"
	"pyrr/internal/printable"
	"pyrr/replay"

	"io"
)

// block is a list of commands that is being entered, up to "end".
type block struct {
	lines []string
	depth int // of such lists within
	done  func(lines []string)
}

// maxBlock bounds the lines of a list, maxCalls how deep commands that users define
// call one another.
const (
	maxBlock = 10_000
	maxCalls = 100
)

// enter takes a line of a list of commands.
func (c *Console) enter(line string) error {
	b := c.block
	name, _, _ := strings.Cut(line, " ")
	switch {
	case name == "end" && b.depth == 0:
		c.block = nil
		b.done(b.lines)
		return nil
	case name == "end":
		b.depth--
	case name == "commands" || name == "define":
		b.depth++
	}
	if len(b.lines) >= maxBlock {
		c.block = nil
		return fmt.Errorf("a list of more than %d commands", maxBlock)
	}
	b.lines = append(b.lines, line)
	return nil
}

// commands takes the commands that run where breakpoints stop, the last one's by
// default.
func (c *Console) commands(args string) error {
	if len(c.breaks) == 0 {
		return errors.New("no breakpoints specified")
	}
	list := c.breaks[len(c.breaks)-1:]
	if args != "" {
		var err error
		if list, err = c.chosen(args); err != nil {
			return err
		}
	}
	list = slices.Clone(list)
	c.block = &block{done: func(lines []string) {
		for _, k := range list {
			k.commands = lines
		}
	}}
	return nil
}

// define takes the body of a command of the user's.
func (c *Console) define(args string) error {
	name := strings.TrimSpace(args)
	if name == "" || strings.ContainsAny(name, " /\"'$") {
		return errors.New("define: the name of a command, as in define here; then its lines, then end")
	}
	if i := slices.IndexFunc(consoleCommands, func(k consoleCommand) bool { return k.name == name || slices.Contains(k.aliases, name) }); i >= 0 {
		return fmt.Errorf("define: %s is a command of pyrr's, which a script may rely on", name)
	}
	c.block = &block{done: func(lines []string) {
		if c.defined == nil {
			c.defined = map[string][]string{}
		}
		c.defined[name] = lines
	}}
	return nil
}

// call runs a command that the user has defined, with $argc and $arg0 … replaced.
func (c *Console) call(body []string, args string) error {
	if c.calls++; c.calls > maxCalls {
		c.calls = 0
		return fmt.Errorf("commands call one another more than %d deep", maxCalls)
	}
	defer func() { c.calls = max(c.calls-1, 0) }()
	words := strings.Fields(args)
	with := []string{"$argc", strconv.Itoa(len(words))}
	for i, w := range slices.Backward(words) {
		with = append(with, "$arg"+strconv.Itoa(i), w)
	}
	r := strings.NewReplacer(with...)
	for _, line := range body {
		if err := c.Do(r.Replace(line)); err != nil || c.quit {
			return err
		}
	}
	return nil
}

// shell runs a command of the system's shell.
func (c *Console) shell(args string) error {
	if args == "" {
		return errors.New("shell: which command?")
	}
	cmd := exec.Command("/bin/sh", "-c", args)
	cmd.Stdout, cmd.Stderr = c.out, c.out
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return fmt.Errorf("the command ended with %s", exit)
	}
	return err
}

// save writes the breakpoints into a file that source reads.
func (c *Console) save(args string) error {
	what, file, _ := strings.Cut(args, " ")
	if file = strings.TrimSpace(file); what == "" || !strings.HasPrefix("breakpoints", what) || file == "" {
		return errors.New("save breakpoints FILE")
	}
	var b strings.Builder
	n := 0
	for _, k := range c.breaks {
		if k.hidden {
			continue
		}
		n++
		fmt.Fprintln(&b, k.command())
		for name, v := range map[string]string{"condition": k.condition, "ignore": number0(k.ignore)} {
			if v != "" && !strings.Contains(k.command(), " if ") {
				fmt.Fprintf(&b, "%s $bpnum %s\n", name, v)
			}
		}
		if len(k.commands) > 0 {
			fmt.Fprintf(&b, "commands\n%s\nend\n", strings.Join(k.commands, "\n"))
		}
		if k.off {
			fmt.Fprintln(&b, "disable $bpnum")
		}
	}
	if n == 0 {
		return errors.New("there is nothing to save")
	}
	if err := outfile.Write(file, 0o666, func(w io.Writer) error { _, err := io.WriteString(w, b.String()); return err }); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "Saved to file '%s'.\n", printable.Line(file))
	return nil
}

func number0(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// command is what sets the breakpoint again.
func (k *consoleBreak) command() string {
	switch {
	case k.dprintf != "":
		return "dprintf " + k.place + "," + k.dprintf
	case k.place != "" && k.temp:
		return "tbreak " + k.place
	case k.place != "":
		return "break " + k.place
	}
	return k.text
}

// conditionOf gives a breakpoint another condition, or none.
func (c *Console) conditionOf(args string) error {
	which, cond, _ := strings.Cut(args, " ")
	list, err := c.chosen(which)
	if err != nil || which == "" {
		return cmpErr(err, errors.New("condition N EXPRESSION, or condition N to take it off"))
	}
	k := list[0]
	if k.b == nil {
		return fmt.Errorf("breakpoint %d stops at events or memory, which take no condition", k.n)
	}
	cond = strings.TrimSpace(cond)
	var parsed *condition
	if cond != "" {
		if parsed, err = c.parseCondition(cond); err != nil {
			return err // it keeps the one that it has
		}
	}
	if k.place != "" {
		k.place, _, _ = strings.Cut(k.place, " if ")
	}
	if k.condition = cond; cond == "" {
		k.b.Cond = nil
		fmt.Fprintf(c.out, "Breakpoint %d now unconditional.\n", k.n)
	} else {
		k.b.Cond = parsed
		if k.place != "" {
			k.place += " if " + cond
		}
	}
	c.install()
	return nil
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// ignoreNext passes a breakpoint by a number of times.
func (c *Console) ignoreNext(args string) error {
	f := strings.Fields(args)
	if len(f) != 2 {
		return errors.New("ignore N COUNT")
	}
	list, err := c.chosen(f[0])
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(f[1])
	if err != nil || n < 0 {
		return fmt.Errorf("not a number: %q", f[1])
	}
	k := list[0]
	switch k.ignore = n; n {
	case 0:
		fmt.Fprintf(c.out, "Will stop next time breakpoint %d is reached.\n", k.n)
	case 1:
		fmt.Fprintf(c.out, "Will ignore next crossing of breakpoint %d.\n", k.n)
	default:
		fmt.Fprintf(c.out, "Will ignore next %d crossings of breakpoint %d.\n", n, k.n)
	}
	return nil
}

// dprintf prints where a place is passed, without stopping there.
func (c *Console) setDprintf(args string) error {
	place, format, ok := strings.Cut(args, ",")
	format = strings.TrimSpace(format)
	if _, _, err := splitFormat(format); err != nil || !ok {
		return errors.New(`dprintf PLACE,"FORMAT",EXPRESSION,…: as in dprintf app.py:4,"x is %d\n",x`)
	}
	b, err := c.parseBreak(place)
	if err != nil {
		return err
	}
	k := &consoleBreak{n: c.nextBreak, b: b, text: "dprintf " + args, place: strings.TrimSpace(place), dprintf: format}
	c.add(k)
	fmt.Fprintf(c.out, "Dprintf %d: %s,%s\n", k.n, b, format)
	return nil
}

// display is an expression that is printed at each stop.
type display struct {
	n      int
	expr   string
	format string
}

func (c *Console) addDisplay(args string) error {
	if args == "" {
		for _, d := range c.displays {
			c.show(d)
		}
		return nil
	}
	format, expr := slashFormat(args)
	c.nextDisplay++
	d := display{c.nextDisplay, expr, format}
	c.displays = append(c.displays, d)
	c.show(d)
	return nil
}

// show prints an expression that is displayed.
func (c *Console) show(d display) {
	text := ""
	if letter(d.format) == 'i' || letter(d.format) == 's' || strings.Trim(d.format, "xduotzca") != "" {
		fmt.Fprintf(c.out, "%d: x/%s %s\n", d.n, d.format, printable.Line(d.expr))
		if err := c.examine("/" + d.format + " " + d.expr); err != nil {
			fmt.Fprintln(c.out, printable.Line(err.Error()))
		}
		return
	}
	if out, err := c.evaluate(d.expr, letter(d.format)); err != nil {
		text = "<" + err.Error() + ">"
	} else {
		text = out.text
	}
	fmt.Fprintf(c.out, "%d: %s = %s\n", d.n, printable.Line(strings.TrimSpace(strings.TrimSuffix("/"+d.format, "/")+" "+d.expr)), printable.Line(text))
}

func (c *Console) undisplay(args string) error {
	if args == "" {
		c.displays = nil
		return nil
	}
	for _, f := range strings.Fields(args) {
		i := slices.IndexFunc(c.displays, func(d display) bool { return strconv.Itoa(d.n) == f })
		if i < 0 {
			return fmt.Errorf("no display number %s", f)
		}
		c.displays = slices.Delete(c.displays, i, i+1)
	}
	return nil
}

func (c *Console) infoDisplay() error {
	if len(c.displays) == 0 {
		fmt.Fprintln(c.out, "There are no auto-display expressions now.")
	}
	for _, d := range c.displays {
		fmt.Fprintf(c.out, "%d:   y  %s\n", d.n, printable.Line(strings.TrimSpace(strings.TrimSuffix("/"+d.format, "/")+" "+d.expr)))
	}
	return nil
}

// echo prints a text with the escapes of C's strings. A line that it leaves open it ends,
// where gdb would go on in it.
func (c *Console) echo(args string) error {
	text := args
	if plain, err := strconv.Unquote(`"` + strings.ReplaceAll(args, `"`, `\"`) + `"`); err == nil {
		text = strings.TrimSuffix(plain, "\n")
	}
	fmt.Fprintln(c.out, text)
	return nil
}

// infoUser lists the commands that the user has defined.
func (c *Console) infoUser() error {
	for _, name := range slices.Sorted(maps.Keys(c.defined)) {
		fmt.Fprintf(c.out, "User command %q:\n", name)
		for _, l := range c.defined[name] {
			fmt.Fprintf(c.out, "  %s\n", printable.Line(l))
		}
	}
	return nil
}

// met handles a stop at breakpoints on the way: those that are to be ignored, and
// those that only print. It says which one stops, nil for none of the user's, and
// whether to go on.
func (c *Console) met(st *replay.Stop) (*consoleBreak, bool) {
	var at []*consoleBreak
	for _, k := range c.breaks {
		switch {
		case k.off:
		case st.Kind == replay.StopBreak && k.b != nil && slices.Contains(st.Hit.Breaks, k.b):
			at = append(at, k)
		case st.Kind == replay.StopEvent && k.event != nil && st.Event != nil && k.event(st.Event):
			at = append(at, k)
		}
	}
	if len(at) == 0 {
		return nil, false
	}
	var first *consoleBreak
	hidden := false
	for _, k := range at {
		switch {
		case k.hidden:
			hidden = true
			continue
		case k.ignore > 0:
			k.ignore--
		case k.dprintf != "":
			c.tid, c.frame = cmpTID(st.TID, c.tid), 0
			if err := c.printf(k.dprintf); err != nil {
				fmt.Fprintln(c.out, printable.Line(err.Error()))
			}
		case first == nil:
			first = k
		}
		k.hits++
	}
	return first, first == nil && !hidden
}

func cmpTID(a, b int32) int32 {
	if a != 0 {
		return a
	}
	return b
}
