// Package console is the debugger of pyrr replay: commands like gdb's, on a
// session that travels through a recording, for a terminal, a script, gdb's
// monitor command and an editor's console.
//
// Nothing that it does changes the recorded program. Begin with Console.Do and
// the table in commands.go.
package console

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"

	"golang.org/x/term"

	"pyrr/internal/backtrace"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/stackwalk"
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

	last string // the command before
	quit bool
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

// input gives the lines of the user.
type input interface {
	line(prompt string) (string, error)
}

// scripted reads commands from a pipe or a file.
type scripted struct {
	s    *bufio.Scanner
	echo io.Writer
}

func (in *scripted) line(prompt string) (string, error) {
	if in.echo != nil {
		fmt.Fprint(in.echo, prompt)
	}
	if !in.s.Scan() {
		if err := in.s.Err(); err != nil {
			return "", err
		}
		return "", io.EOF
	}
	if in.echo != nil {
		fmt.Fprintln(in.echo, in.s.Text())
	}
	return in.s.Text(), nil
}

// terminal reads commands with editing, history and completion.
type terminal struct {
	t  *term.Terminal
	fd int
}

func newTerminal(in *os.File, out io.Writer, complete func(string) []string) *terminal {
	rw := struct {
		io.Reader
		io.Writer
	}{in, out}
	t := &terminal{t: term.NewTerminal(rw, ""), fd: int(in.Fd())}
	t.t.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		rest := line[pos:]
		cands := complete(line[:pos])
		if len(cands) == 0 {
			return "", 0, false
		}
		common := cands[0]
		for _, s := range cands[1:] {
			for !strings.HasPrefix(s, common) {
				common = common[:len(common)-1]
			}
		}
		if len(cands) == 1 {
			common += " "
		} else if len(common) <= pos {
			fmt.Fprintln(t.t, strings.Join(cands, "  "))
		}
		return common + rest, len(common), true
	}
	return t
}

func (in *terminal) line(prompt string) (string, error) {
	old, err := term.MakeRaw(in.fd)
	if err != nil {
		return "", fmt.Errorf("set the terminal up: %w", err)
	}
	defer term.Restore(in.fd, old)
	if w, h, err := term.GetSize(in.fd); err == nil && w > 0 && h > 0 {
		in.t.SetSize(w, h)
	}
	in.t.SetPrompt(prompt)
	return in.t.ReadLine()
}

// Run runs the commands given, then those of the user.
func (c *Console) Run(commands []string, in io.Reader) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	defer signal.Stop(stop)
	go func() {
		for range stop {
			c.x.Interrupt()
		}
	}()
	for _, cmd := range commands {
		fmt.Fprintf(c.out, "%s%s\n", c.prompt(), cmd)
		if err := c.Do(cmd); err != nil {
			return err
		}
		if c.quit {
			return nil
		}
	}
	var lines input = &scripted{bufio.NewScanner(in), c.out}
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		lines = newTerminal(f, c.out, c.complete)
	}
	for !c.quit {
		line, err := lines.line(c.prompt())
		if errors.Is(err, io.EOF) {
			fmt.Fprintln(c.out)
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.Do(line); err != nil {
			return err
		}
	}
	return nil
}

// Do runs one command. A mistake of the user's is printed; an error of the
// replay is returned.
func (c *Console) Do(line string) error {
	line = strings.TrimSpace(line)
	if line == "" {
		line = c.last
	}
	if line == "" || strings.HasPrefix(line, "#") {
		return nil
	}
	c.last = line
	name, args, _ := strings.Cut(line, " ")
	args = strings.TrimSpace(args)
	// x/4xg, p/x: the format belongs to the arguments.
	if n, format, ok := strings.Cut(name, "/"); ok {
		name, args = n, "/"+format+" "+args
	}
	cmd, err := findConsole(name)
	if err == nil {
		err = cmd.run(c, args)
	}
	if err == nil {
		return nil
	}
	if d := (*replay.Divergence)(nil); errors.As(err, &d) || replay.Damaged(err) {
		return err
	}
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
	for i := range consoleCommands {
		if cmd := &consoleCommands[i]; strings.HasPrefix(cmd.name, name) {
			return cmd, nil
		}
	}
	return nil, fmt.Errorf("undefined command: %q; try \"help\"", name)
}

// complete lists what a line that was begun may become.
func (c *Console) complete(line string) []string {
	name, rest, more := strings.Cut(line, " ")
	var out []string
	if !more {
		for i := range consoleCommands {
			if strings.HasPrefix(consoleCommands[i].name, name) {
				out = append(out, consoleCommands[i].name)
			}
		}
		slices.Sort(out)
		return out
	}
	cmd, err := findConsole(name)
	if err != nil {
		return nil
	}
	for _, w := range cmd.words {
		if strings.HasPrefix(w, rest) {
			out = append(out, name+" "+w)
		}
	}
	if cmd.name == "print" || cmd.name == "last" || cmd.name == "watch" {
		for _, v := range c.localNames() {
			if strings.HasPrefix(v, rest) {
				out = append(out, name+" "+v)
			}
		}
	}
	return out
}
