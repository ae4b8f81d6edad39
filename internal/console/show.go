package console

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pyrr/internal/backtrace"
	"pyrr/internal/printable"
	"pyrr/internal/stack"
	"pyrr/replay"
)

// arrived says where a move has led and why it ended there.
func (c *Console) arrived(st *replay.Stop, run bool) error {
	c.frame, c.listed = 0, ""
	c.behind = st.Kind == replay.StopWatch && run
	defer func() { c.at = nil }()
	c.data = stopData(st)
	states := c.stateOfThreads()
	for _, t := range states {
		if !c.seen[t.TID] {
			c.seen[t.TID] = true
			if run {
				fmt.Fprintf(c.out, "[New Thread %d]\n", t.TID)
			}
		}
	}
	if st.TID != 0 && st.TID != c.tid {
		if c.tid != 0 && len(states) > 1 {
			fmt.Fprintf(c.out, "[Switching to Thread %d]\n", st.TID)
		}
		c.tid = st.TID
	}
	name := fmt.Sprintf("Thread %d %q", c.threads[c.tid], c.threadName(c.tid))
	switch st.Kind {
	case replay.StopBreak:
		what := "stopped"
		k := c.at
		if k == nil { // a step came here
			for _, o := range c.breaks {
				if k == nil && o.b != nil && !o.hidden && o.dprintf == "" && slices.Contains(st.Hit.Breaks, o.b) {
					k = o
					k.hits++
				}
			}
		}
		if k != nil {
			what = fmt.Sprintf("hit Breakpoint %d", k.n)
			switch {
			case k.b.Kind == replay.BreakRaise && st.Hit.Exception != nil:
				what = fmt.Sprintf("hit Catchpoint %d (raise %s)", k.n, printable.Line(st.Hit.Exception.Text))
				c.onPython() // what raises is C's, but its variables are asked for
			case k.b.Kind == replay.BreakReturn && k.place == "":
				what = fmt.Sprintf("hit Catchpoint %d (return %s)", k.n, printable.Line(k.b.Func))
			}
			if k.temp {
				c.breaks = slices.DeleteFunc(c.breaks, func(o *consoleBreak) bool { return o == k })
				c.install()
			}
			c.runCommands(k)
		}
		if c.silent() {
			return nil
		}
		fmt.Fprintf(c.out, "\n%s %s, ", name, what)
		return c.stopped()
	case replay.StopEvent:
		fmt.Fprintf(c.out, "\n%s at event %d: %s\n", name, st.Point.Event, printable.Line(c.describe(st.Event)))
		if c.at != nil {
			c.runCommands(c.at)
		}
		return c.stopped()
	case replay.StopWatch:
		return c.atWatched(name)
	case replay.StopEnd:
		fmt.Fprintln(c.out, "\nThe recording ends here.")
		return nil
	case replay.StopStart:
		fmt.Fprintln(c.out, "\nThis is the beginning of the recording.")
		return nil
	case replay.StopInterrupted:
		c.queue = nil
		fmt.Fprintln(c.out, "\nInterrupted.")
	}
	return c.stopped()
}

// atWatched says what a stop at watched memory has changed: of C's where C is, else where
// Python is.
func (c *Console) atWatched(thread string) error {
	k := c.at
	if k != nil {
		c.runCommands(k)
	}
	if c.silent() {
		return nil
	}
	fmt.Fprintf(c.out, "\n%s: %s\n", thread, c.change)
	if k == nil || k.raw == nil || k.raw.typ == "" {
		c.onPython()
	}
	return c.stopped()
}

// stopped shows the place of a stop, and what is displayed at each.
func (c *Console) stopped() error {
	if err := c.showPlace(); err != nil {
		return err
	}
	for _, d := range c.displays {
		c.show(d)
	}
	return nil
}

// runCommands has the commands of a breakpoint run next, in place of those of the
// breakpoint before.
func (c *Console) runCommands(k *consoleBreak) { c.queue = slices.Clone(k.commands) }

// silent says whether the commands of a breakpoint begin with silent, which leaves out
// what is said of a stop.
func (c *Console) silent() bool {
	if len(c.queue) == 0 || c.queue[0] != "silent" {
		return false
	}
	c.queue = c.queue[1:]
	return true
}

// showPlace prints the selected frame and, of Python, its source line.
func (c *Console) showPlace() error {
	frames, err := c.Frames(c.tid)
	if err != nil || len(frames) == 0 {
		fmt.Fprintln(c.out, "nothing is known of the stack here")
		return nil
	}
	c.printFrame(&frames[min(c.frame, len(frames)-1)])
	return nil
}

func (c *Console) printFrame(f *backtrace.Frame) {
	if f.Kind == stack.Python {
		fmt.Fprintf(c.out, "%s () at %s:%d\n", printable.Line(f.Func), printable.Line(f.File), f.Line)
		if text, ok := c.sourceLine(f.File, f.Line); ok {
			fmt.Fprintf(c.out, "%d\t%s\n", f.Line, printable.Line(text))
		}
		return
	}
	place := ""
	if p := backtrace.PlaceText(f); p != "" && f.File != "" {
		place = " at " + p
	} else if f.Module != "" {
		place = " from " + f.Module
	}
	text := backtrace.FunctionText(f)
	if !f.Debug {
		text += " ()"
	}
	fmt.Fprintf(c.out, "%s%s\n", printable.Line(text), printable.Line(place))
	if f.File != "" {
		if lines, err := nativeSource(f); err == nil && f.Line >= 1 && f.Line <= len(lines) {
			fmt.Fprintf(c.out, "%d\t%s\n", f.Line, printable.Line(lines[f.Line-1]))
		}
	}
}

// sourceLine gives a line of a file as the recording has it.
func (c *Console) sourceLine(file string, line int) (string, bool) {
	text := c.sourceText(file)
	if line < 1 || line > len(text) {
		return "", false
	}
	return text[line-1], true
}

func (c *Console) sourceText(file string) []string {
	files, err := c.rec.Sources()
	if err != nil {
		return nil
	}
	text, ok := files[file]
	if !ok {
		return c.native[file]
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func (c *Console) infoSource() error {
	f, err := c.pythonFrame()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s, %d lines in the recording\n", printable.Line(f.File), len(c.sourceText(f.File)))
	return nil
}

// list prints ten lines around the selected place, then on from there.
func (c *Console) list(args string) error {
	const lines = 10
	f, err := c.pythonFrame()
	from := 0
	switch {
	case args != "" && !isNumber(args):
		file, n, err := c.findListed(args)
		if err != nil {
			return err
		}
		c.listed, from = file, n-lines/2
	case isNumber(args):
		n, _ := strconv.Atoi(args)
		if c.listed == "" && f != nil {
			c.listed = f.File
		}
		from = n - lines/2
	case c.listed != "":
		from = c.shown + 1
	default:
		if n, note := c.selectedNative(); n != nil {
			f = n
		} else if note != "" {
			fmt.Fprintln(c.out, printable.Line(note))
		}
		if f == nil {
			return err
		}
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
		fmt.Fprintf(c.out, "%d\t%s\n", n, printable.Line(text[n-1]))
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
