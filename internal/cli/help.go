package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"pyrr/assert"
	"pyrr/internal/hint"
	"pyrr/internal/printable"
	"pyrr/internal/screen"

	"github.com/spf13/pflag"
)

// Names are the names of all commands.
func (t Table) Names() []string {
	var names []string
	for _, c := range t {
		names = append(names, c.Name)
	}
	return names
}

// Help is the command help over a table.
func Help(all func() Table) *Command {
	return &Command{
		Name:     "help",
		Synopsis: "[COMMAND]",
		Short:    "show this list, or the help of a command",
		Long:     "Prints the list of commands, or the same text as pyrr COMMAND --help.",
		Examples: []Example{
			{"pyrr help record", "how to record"},
		},
		Exits: []Exit{
			{"0", "the help was printed"},
			{"2", "there is no such command"},
		},
		Operand: "topic",
		Setup: func(*pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			return func(_ context.Context, u *screen.UI, args []string) error {
				switch len(args) {
				case 0:
					all().Overview(u.Out)
					return nil
				case 1:
				default:
					return hint.Usagef("help: one command at a time")
				}
				c := all().Find(args[0])
				if c == nil {
					err := hint.Usagef("there is no command %q", args[0])
					if near := assert.Nearest(args[0], all().Names()); near != "" {
						err.Next = []string{"pyrr help " + near}
					} else {
						err.Next = []string{"pyrr help"}
					}
					return err
				}
				c.PrintHelp(u.Out)
				return nil
			}
		},
	}
}

// Overview prints what pyrr without a command prints.
func (t Table) Overview(w io.Writer) {
	fmt.Fprint(w, `pyrr records a run of a Python program, replays it exactly, and checks what
happened in it.

USAGE
  pyrr COMMAND [ARGUMENT…]

COMMANDS
`)
	for _, c := range t {
		if c.Group != "" {
			fmt.Fprintf(w, "  %s\n", c.Group)
		}
		fmt.Fprintf(w, "    %-10s  %s\n", c.Name, c.Short)
	}
	fmt.Fprint(w, `
EXAMPLES
  pyrr open artifacts.zip                    say why, of what a red build left
  pyrr record --keep failure --timeout 60s -- pytest
                                             keep the tests that hang or fail
  pyrr explain recordings/app-….pyrr.zip     say why it hung or failed
  pyrr replay recordings/app-….pyrr.zip      run it again, exactly as it was
  pyrr doctor                                say what this machine can record

EXIT STATUS
  0    all holds
  1    an expectation failed
  2    usage or spec error
  3    could not judge: the replay diverged, the recording is damaged or missing
  4    this machine can't
  5    nothing to check
  130  interrupted
  pyrr record ends with the program's own status: see pyrr record --help.
`)
}

// helpWidth is the width of the help, which is the same in a pipe and in any terminal.
const helpWidth = 80

// PrintHelp prints the help of one command.
func (c *Command) PrintHelp(w io.Writer) {
	fs := c.FlagSet()
	c.Setup(fs)
	fmt.Fprintf(w, "pyrr %s: %s\n\nUSAGE\n%s\n\n%s\n\nFLAGS\n", c.Name, c.Short, synopsisLines("  pyrr "+c.Name, c.Synopsis), reflow(c.Long, helpWidth))
	var rows [][2]string
	fs.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			rows = append(rows, flagRow(f))
		}
	})
	twoColumns(w, rows, 32)
	fmt.Fprint(w, "\nEXAMPLES\n")
	rows = rows[:0]
	for _, e := range c.Examples {
		rows = append(rows, [2]string{"  " + e[0], e[1]})
	}
	twoColumns(w, rows, 48)
	fmt.Fprint(w, "\nEXIT STATUS\n")
	rows = rows[:0]
	for _, e := range c.Exits {
		rows = append(rows, [2]string{"  " + e[0], e[1]})
	}
	twoColumns(w, rows, 12)
}

// flagRow describes a flag.
func flagRow(f *pflag.Flag) [2]string {
	name := "      --" + f.Name
	if f.Shorthand != "" {
		name = "  -" + f.Shorthand + ", --" + f.Name
	}
	value, usage := pflag.UnquoteUsage(f)
	switch {
	case f.Value.Type() == "bool":
	case f.NoOptDefVal != "":
		name += "[=" + value + "]"
	default:
		name += " " + value
	}
	return [2]string{name, usage}
}

// twoColumns prints rows of a term and what it means, which is wrapped beside it; a
// term that is wider than most has its meaning below.
func twoColumns(w io.Writer, rows [][2]string, most int) {
	left := 0
	for _, r := range rows {
		if n := utf8.RuneCountInString(r[0]); n <= most {
			left = max(left, n)
		}
	}
	pad := strings.Repeat(" ", left+2)
	for _, r := range rows {
		n := utf8.RuneCountInString(r[0])
		means := printable.Wrap(r[1], helpWidth-left-2, pad)
		switch {
		case means == "":
			fmt.Fprintln(w, r[0])
		case n > left:
			fmt.Fprintf(w, "%s\n%s\n", r[0], means)
		default:
			fmt.Fprintf(w, "%s%s%s\n", r[0], pad[n:], means[len(pad):])
		}
	}
}

// reflow wraps paragraphs, which are apart by empty lines; lines that begin with a
// blank stay as they are.
func reflow(text string, width int) string {
	var out []string
	for _, par := range strings.Split(strings.TrimSpace(text), "\n\n") {
		var plain, done []string
		flush := func() {
			if len(plain) > 0 {
				done = append(done, printable.Wrap(strings.Join(plain, " "), width, ""))
				plain = nil
			}
		}
		for _, line := range strings.Split(par, "\n") {
			if strings.HasPrefix(line, " ") {
				flush()
				done = append(done, line)
			} else {
				plain = append(plain, line)
			}
		}
		flush()
		out = append(out, strings.Join(done, "\n"))
	}
	return strings.Join(out, "\n\n")
}

// synopsisLines wraps a synopsis behind the command, never within brackets.
func synopsisLines(head, synopsis string) string {
	lines := []string{head}
	by := strings.Repeat(" ", utf8.RuneCountInString(head))
	depth, word := 0, ""
	add := func() {
		if word == "" {
			return
		}
		last := &lines[len(lines)-1]
		if utf8.RuneCountInString(*last)+1+utf8.RuneCountInString(word) > helpWidth && *last != by {
			lines = append(lines, by)
			last = &lines[len(lines)-1]
		}
		*last += " " + word
		word = ""
	}
	for _, r := range synopsis {
		switch {
		case strings.ContainsRune("[(", r):
			depth++
		case strings.ContainsRune("])", r):
			depth--
		case (r == ' ' || r == '\n') && depth == 0:
			add()
			continue
		}
		word += string(r)
	}
	add()
	return strings.Join(lines, "\n")
}
