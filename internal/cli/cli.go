// Package cli is the frame of a command line of several commands: a table of them,
// their flags, help, completion for shells, settings of a project, exit statuses.
//
// It does nothing by itself. Begin with Command and Table.Run.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"pyrr/assert"
	"pyrr/internal/find"
	"pyrr/internal/hint"
	"pyrr/internal/probe"
	"pyrr/internal/screen"
	"pyrr/internal/sys"
	"pyrr/replay"
)

// Exit statuses. They are part of the interface, and so is the difference
// between a check that failed and one that could not be made.
const (
	ExitOK          = 0
	ExitFailed      = 1   // an expectation failed
	ExitUsage       = 2   // usage or spec error
	ExitUnjudged    = 3   // diverged, damaged or missing recording
	ExitMachine     = 4   // this machine can't
	ExitNothing     = 5   // nothing to check
	ExitTimeout     = 124 // record: the time-out ended the program
	ExitOwn         = 125 // record: pyrr itself failed
	ExitCannotRun   = 126 // record: the command can't be executed
	exitNotFound    = 127 // record: the command does not exist
	ExitInterrupted = 130
)

// Exit is one line of an EXIT STATUS section: the status and what it means.
type Exit [2]string

// Example is one line of an EXAMPLES section: a command line and what it does.
type Example [2]string

// Command is one row of the table of commands.
type Command struct {
	Name     string
	Synopsis string // what follows the name
	Short    string // one line, for the list of commands
	Group    string // the heading above it there, of the first of several
	Long     string
	Examples []Example
	Exits    []Exit
	// operand says what the arguments are, for shell completion: "command",
	// "recording", "python", "spec", "shell", "topic" or "".
	Operand string
	// usageStatus is the exit status of a usage error, 0 for exitUsage.
	UsageStatus int
	// runsProgram ends pyrr's flags at the first argument that is none.
	RunsProgram bool
	// interactive commands deal with Ctrl-C themselves.
	Interactive bool
	// fits: its text is fitted to the screen. What a flag makes for programs stays whole.
	Fits bool
	// rewrite, when not nil, is applied to the arguments first.
	Rewrite func([]string) []string
	// settings maps a project's settings to the flags that they are the defaults of.
	Settings map[string]string
	// setup declares the flags and returns what to do with the arguments.
	Setup func(*pflag.FlagSet) func(ctx context.Context, u *screen.UI, args []string) error
}

// Table is the commands, in the order of the help.
type Table []*Command

// Find is the command of a name, nil for none.
func (t Table) Find(name string) *Command {
	for _, c := range t {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// Run executes pyrr with the given arguments and returns its exit status.
func (t Table) Run(ctx context.Context, u *screen.UI, args []string) int {
	if len(args) == 0 {
		t.Overview(u.Err)
		return ExitUsage
	}
	switch args[0] {
	case "-h", "--help":
		args = append([]string{"help"}, args[1:]...)
	case "--version":
		args = append([]string{"version"}, args[1:]...)
	}
	c := t.Find(args[0])
	if c == nil {
		err := hint.Usagef("there is no command %q", args[0])
		if strings.HasPrefix(args[0], "-") {
			err = hint.Usagef("unknown flag %s before the command", args[0])
		} else if near := assert.Nearest(args[0], t.Names()); near != "" {
			err.Next = []string{"pyrr " + strings.Join(append([]string{near}, args[1:]...), " ")}
		}
		if err.Next == nil {
			err.Next = []string{"pyrr help"}
		}
		u.Fail(err)
		return ExitUsage
	}
	err := c.run(ctx, u, args[1:])
	if probe.Elsewhere && errors.Is(err, sys.ErrElsewhere) {
		err = probe.Cannot("replay")
	}
	if err == nil {
		return ExitOK
	}
	if status, ok := errors.AsType[Status](err); ok {
		return int(status)
	}
	if errors.Is(err, pflag.ErrHelp) {
		return ExitOK
	}
	if replay.Damaged(err) && len(hint.Of(err)) == 0 {
		err = hint.With(err, "it changed after it was made: fetch it again from there, or record again; pyrr ls lists those that are here")
	}
	u.Fail(err)
	return c.ExitStatus(err)
}

// run parses the flags of a command and runs it.
func (c *Command) run(ctx context.Context, u *screen.UI, args []string) error {
	fs := c.FlagSet()
	do := c.Setup(fs)
	if c.Rewrite != nil {
		args = c.Rewrite(args)
	}
	if err := fs.Parse(args); err != nil {
		return c.flagError(fs, err)
	}
	if help, err := fs.GetBool("help"); err == nil && help {
		c.PrintHelp(u.Out)
		return nil
	}
	if c.Settings != nil {
		if err := c.applySettings(fs); err != nil {
			return err
		}
	}
	if !c.RunsProgram && !c.Interactive {
		defer screen.OnInterrupt(func() {
			u.ClearStatus()
			u.Cleanups.Run()
			os.Exit(ExitInterrupted)
		})()
	}
	args = fs.Args()
	if c.Operand == "recording" && c.Name != "push" && c.Name != "pull" && c.Name != "open" {
		var err error
		if args, err = find.FetchNamed(ctx, u, c.Name, args); err != nil {
			return err
		}
	}
	if c.Fits && !forPrograms(fs) {
		defer u.Fit()()
	}
	return do(ctx, u, args)
}

// forPrograms says whether the flags ask for something that a program reads, or for a
// file's text as it is.
func forPrograms(fs *pflag.FlagSet) bool {
	for _, name := range []string{"json", "raw", "format", "source", "output"} {
		if fs.Changed(name) {
			return true
		}
	}
	return false
}

func (c *Command) FlagSet() *pflag.FlagSet {
	fs := pflag.NewFlagSet(c.Name, pflag.ContinueOnError)
	fs.SetInterspersed(!c.RunsProgram)
	fs.SortFlags = false
	fs.Usage = func() {}
	fs.BoolP("help", "h", false, "show this help")
	return fs
}

// flagError makes a usage error of what pflag says, with the flag that was
// probably meant.
func (c *Command) flagError(fs *pflag.FlagSet, err error) error {
	out := hint.Usagef("%s: %v", c.Name, err)
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		var names []string
		fs.VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, f.Name)
			}
		})
		if near := assert.Nearest(unknown.GetSpecifiedName(), names); near != "" {
			out.Next = append(out.Next, fmt.Sprintf("did you mean --%s?", near))
		}
	}
	out.Next = append(out.Next, "pyrr "+c.Name+" --help")
	return out
}

// ExitStatus maps an error to the exit status of the command; it is the only
// place that does.
func (c *Command) ExitStatus(err error) int {
	if _, ok := errors.AsType[*hint.Usage](err); ok && c.UsageStatus == 0 {
		return ExitUsage
	}
	if c.RunsProgram {
		return ExitOwn
	}
	switch {
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	case hint.IsMachine(err):
		return ExitMachine
	default:
		return ExitUnjudged
	}
}
