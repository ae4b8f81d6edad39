package main

import (
	"context"
	"fmt"
	"io"
	"pyrr/assert"
	"strings"

	"github.com/spf13/pflag"
)

func commandNames() []string {
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	return names
}

func helpCommand() *command {
	return &command{
		name:     "help",
		synopsis: "[COMMAND]",
		short:    "show this list, or the help of a command",
		long:     "Prints the list of commands, or the same text as pyrr COMMAND --help.",
		examples: []example{
			{"pyrr help record", "how to record"},
		},
		exits: []exitDoc{
			{"0", "the help was printed"},
			{"2", "there is no such command"},
		},
		operand: "topic",
		setup: func(*pflag.FlagSet) func(context.Context, *ui, []string) error {
			return func(_ context.Context, u *ui, args []string) error {
				switch len(args) {
				case 0:
					printOverview(u.out)
					return nil
				case 1:
				default:
					return usagef("help: one command at a time")
				}
				c := findCommand(args[0])
				if c == nil {
					err := usagef("there is no command %q", args[0])
					if near := assert.Nearest(args[0], commandNames()); near != "" {
						err.hints = []string{"pyrr help " + near}
					} else {
						err.hints = []string{"pyrr help"}
					}
					return err
				}
				c.printHelp(u.out)
				return nil
			}
		},
	}
}

// printOverview prints what pyrr without a command prints.
func printOverview(w io.Writer) {
	fmt.Fprint(w, `pyrr records a run of a Python program, replays it exactly, and checks what
happened in it.

USAGE
  pyrr COMMAND [ARGUMENT…]

COMMANDS
`)
	var rows [][]string
	for _, c := range commands() {
		rows = append(rows, []string{"  " + c.name, c.short})
	}
	table(w, nil, rows)
	fmt.Fprint(w, `
EXAMPLES
  pyrr record -- python app.py               keep a recording of a run
  pyrr record --timeout 30s -- pytest tests  end a run that hangs, and keep it
  pyrr replay --batch recordings/app-….pyrr.zip
                                             run it again, exactly as it was
  pyrr doctor                                say what this machine can record

EXIT STATUS
  0    all holds
  1    an expectation failed
  2    usage or spec error
  3    could not judge: the replay diverged, the recording is damaged or missing
  4    this machine can't
  5    nothing to check
  130  interrupted
  pyrr record ends with the program's own status instead; see pyrr record --help.
`)
}

// printHelp prints the help of one command.
func (c *command) printHelp(w io.Writer) {
	fs := c.flagSet()
	c.setup(fs)
	fmt.Fprintf(w, "pyrr %s: %s\n\nUSAGE\n  pyrr %s", c.name, c.short, c.name)
	if c.synopsis != "" {
		fmt.Fprint(w, " ", strings.ReplaceAll(c.synopsis, "\n", "\n  "+strings.Repeat(" ", len("pyrr ")+len(c.name)+1)))
	}
	fmt.Fprintf(w, "\n\n%s\n\nFLAGS\n", strings.TrimSpace(c.long))
	var rows [][]string
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		rows = append(rows, flagRow(f)...)
	})
	table(w, nil, rows)
	fmt.Fprint(w, "\nEXAMPLES\n")
	rows = rows[:0]
	for _, e := range c.examples {
		if len(e.command) > 48 {
			rows = append(rows, []string{"  " + e.command}, []string{"", e.means})
		} else {
			rows = append(rows, []string{"  " + e.command, e.means})
		}
	}
	table(w, nil, rows)
	fmt.Fprint(w, "\nEXIT STATUS\n")
	rows = rows[:0]
	for _, e := range c.exits {
		rows = append(rows, []string{"  " + e.status, e.means})
	}
	table(w, nil, rows)
}

// flagRow describes a flag; further lines of its usage text follow below it.
func flagRow(f *pflag.Flag) [][]string {
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
	lines := strings.Split(usage, "\n")
	rows := [][]string{{name, lines[0]}}
	for _, l := range lines[1:] {
		rows = append(rows, []string{"", l})
	}
	return rows
}
