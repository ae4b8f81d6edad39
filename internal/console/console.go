// Package console is the debugger of pyrr replay: commands like gdb's, on a
// session that travels through a recording, for a terminal, a script, gdb's
// monitor command and an editor's console.
//
// Nothing that it does changes the recorded program. Begin with Console.Do and
// the table in commands.go.
package console

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"pyrr/internal/backtrace"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/stackwalk"
	"pyrr/internal/unwind"
	"pyrr/replay"
)

// Console is the debugger of pyrr replay.
type Console struct {
	out      io.Writer
	describe func(*recording.Event) string
	rec      *recording.Recording
	x        *replay.Session
	w        backtrace.Walk

	breaks    []*consoleBreak
	nextBreak int
	marks     []bookmark
	// threads are the numbers of the threads, in the order in which they
	// first ran; seen those that the user has been told of.
	threads map[int32]int
	seen    map[int32]bool
	tid     int32 // the selected thread
	frame   int   // the selected frame of it
	shown   int   // last line that list printed
	listed  string
	native  map[string][]string // sources of C that were read from this machine
	change  string              // what the last stop at watched memory has changed
	// behind says that this is the place right behind that change.
	behind bool

	scripting
	answering

	quit bool
}

// scripting are the lists of commands, the user's own ones, and what is displayed.
type scripting struct {
	block       *block              // the list that is being entered, nil for none
	queue       []string            // commands of a breakpoint that are to run yet
	defined     map[string][]string // commands of the user's
	calls       int                 // how deep they call one another
	displays    []display
	nextDisplay int
	last        string // the command before
}

// answering is what is known of the last command.
type answering struct {
	json   bool          // Run answers in JSON
	at     *consoleBreak // where the last run stopped, nil for none of the user's
	data   any           // the answer, for programs
	failed string        // the mistake that it was, "" for none
}

type bookmark struct {
	name string
	at   replay.Point
}

// Options are what a console is given.
type Options struct {
	// Out is where answers go.
	Out io.Writer
	// Describe says in one line what an event is.
	Describe func(*recording.Event) string
	// JSON makes Run answer each command with a line of JSON.
	JSON bool
	// Debuginfod lets missing debug files be fetched from the servers that
	// DEBUGINFOD_URLS names.
	Debuginfod bool
	// Replay is for the session.
	Replay replay.Options
}

// New begins a session on a recording, for a console.
func New(rec *recording.Recording, o Options) (*Console, error) {
	x, err := replay.Open(rec, o.Replay)
	if err != nil {
		return nil, err
	}
	c := &Console{out: o.Out, describe: o.Describe, rec: rec, x: x, w: backtrace.Walk{Walk: stackwalk.New(rec)}, nextBreak: 1}
	c.json = o.JSON
	if o.Debuginfod {
		c.w.Files.Find.Fetch = unwind.Debuginfod
	}
	c.looked()
	return c, nil
}

// Session is the one that the console travels with.
func (c *Console) Session() *replay.Session { return c.x }

// Close ends the session.
func (c *Console) Close() error { return c.x.Close() }

// Select makes a process of the recording the current one.
func (c *Console) Select(id int) error {
	if err := c.x.Select(id); err != nil {
		return err
	}
	c.looked()
	return nil
}

// looked takes in what there is to know of the process that the session has
// selected.
func (c *Console) looked() {
	c.threads, c.seen = map[int32]int{}, map[int32]bool{}
	places, err := c.x.Places()
	if err == nil {
		for _, p := range places {
			if p.TID != 0 && c.threads[p.TID] == 0 {
				c.threads[p.TID] = len(c.threads) + 1
			}
		}
	}
	c.tid, c.frame = 0, 0
	for _, t := range c.stateOfThreads() {
		c.seen[t.TID] = true
		if t.Current {
			c.tid = t.TID
		}
	}
}

func (c *Console) stateOfThreads() []replay.ThreadState {
	ts, _ := c.x.Threads()
	return ts
}

// prompt says where the session is: how much of the instructions lies before,
// and their number.
func (c *Console) prompt() string {
	if c.block != nil {
		return strings.Repeat(" ", c.block.depth) + ">"
	}
	at := c.x.Point()
	where := "start"
	switch {
	case c.x.AtEnd():
		where = "end"
	case at.Event > 1 || at.At:
		where = "0%"
		if total := c.total(); total > 0 {
			where = fmt.Sprintf("%d%%", at.Instr*100/total)
		}
	}
	return fmt.Sprintf("%s %s> ", where, printable.Grouped(max(at.Instr, 1)))
}

// total is the instruction count at the end.
func (c *Console) total() uint64 {
	places, err := c.x.Places()
	if err != nil || len(places) == 0 {
		return 0
	}
	return places[len(places)-1].Instr
}

// Do runs one command, and what breakpoints that it comes to have to run. A mistake
// of the user's is printed; an error of the replay is returned.
func (c *Console) Do(line string) error {
	err := c.one(line)
	for err == nil && len(c.queue) > 0 && !c.quit {
		next := c.queue[0]
		c.queue = c.queue[1:]
		err = c.one(next)
	}
	return err
}

// one runs one command.
func (c *Console) one(line string) error {
	line = strings.TrimSpace(line)
	if c.block != nil {
		return c.tell(c.enter(line))
	}
	if line == "" {
		line = c.last
	}
	if line == "" || strings.HasPrefix(line, "#") {
		return nil
	}
	c.last = line
	if rest, ok := strings.CutPrefix(line, "!"); ok {
		line = "shell " + rest
	}
	name, args, _ := strings.Cut(line, " ")
	args = strings.TrimSpace(args)
	if body, ok := c.defined[name]; ok {
		return c.tell(c.call(body, args))
	}
	// x/4xg, p/x: the format belongs to the arguments.
	if n, format, ok := strings.Cut(name, "/"); ok {
		name, args = n, "/"+format+" "+args
	}
	cmd, err := findConsole(name)
	if err == nil {
		err = cmd.run(c, args)
	}
	return c.tell(err)
}

// tell prints a mistake of the user's, and returns an error of the replay.
func (c *Console) tell(err error) error {
	if err == nil {
		return nil
	}
	if d := (*replay.Divergence)(nil); errors.As(err, &d) || replay.Damaged(err) {
		return err
	}
	c.queue = nil
	c.failed = err.Error()
	fmt.Fprintln(c.out, printable.Line(err.Error()))
	return nil
}

// findConsole finds a command by its name, an alias, or the beginning of a
// name; where several begin so, the first in the table counts.
func findConsole(name string) (*consoleCommand, error) {
	for i := range consoleCommands {
		if cmd := &consoleCommands[i]; cmd.name == name || slices.Contains(cmd.aliases, name) {
			return cmd, nil
		}
	}
	if _, known := impossible[name]; known {
		return nil, notHere(name)
	}
	for i := range consoleCommands {
		if cmd := &consoleCommands[i]; strings.HasPrefix(cmd.name, name) {
			return cmd, nil
		}
	}
	return nil, notHere(name)
}
