// Command pyrr records a run of a Python program, replays it exactly, and
// checks what happened in it. docs/architecture.md says how.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
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
	exitOK          = 0
	exitFailed      = 1   // an expectation failed
	exitUsage       = 2   // usage or spec error
	exitUnjudged    = 3   // diverged, damaged or missing recording
	exitMachine     = 4   // this machine can't
	exitNothing     = 5   // nothing to check
	exitTimeout     = 124 // record: the time-out ended the program
	exitOwn         = 125 // record: pyrr itself failed
	exitCannotRun   = 126 // record: the command can't be executed
	exitNotFound    = 127 // record: the command does not exist
	exitInterrupted = 130
)

// exitDoc is one line of an EXIT STATUS section.
type exitDoc struct {
	status string
	means  string
}

// example is one line of an EXAMPLES section.
type example struct {
	command string
	means   string
}

// command is one row of the table of commands.
type command struct {
	name     string
	synopsis string // what follows the name
	short    string // one line, for the list of commands
	long     string
	examples []example
	exits    []exitDoc
	// operand says what the arguments are, for shell completion: "command",
	// "recording", "python", "spec", "shell", "topic" or "".
	operand string
	// usageStatus is the exit status of a usage error, 0 for exitUsage.
	usageStatus int
	// runsProgram ends pyrr's flags at the first argument that is none.
	runsProgram bool
	// interactive commands deal with Ctrl-C themselves.
	interactive bool
	// rewrite, when not nil, is applied to the arguments first.
	rewrite func([]string) []string
	// settings maps a project's settings to the flags that they are the defaults of.
	settings map[string]string
	// setup declares the flags and returns what to do with the arguments.
	setup func(*pflag.FlagSet) func(ctx context.Context, u *screen.UI, args []string) error
}

// commands returns the table, in the order of the help.
func commands() []*command {
	return []*command{
		recordCommand(),
		checkCommand(),
		acceptCommand(),
		newCommand(),
		btCommand(),
		replayCommand(),
		dapCommand(),
		eventsCommand(),
		infoCommand(),
		lsCommand(),
		openCommand(),
		explainCommand(),
		printCommand(),
		lastCommand(),
		whereCommand(),
		profileCommand(),
		mcpCommand(),
		serveCommand(),
		summaryCommand(),
		diffCommand(),
		reportCommand(),
		packCommand(),
		pushCommand(),
		pullCommand(),
		doctorCommand(),
		completionCommand(),
		versionCommand(),
		helpCommand(),
	}
}

func findCommand(name string) *command {
	for _, c := range commands() {
		if c.name == name {
			return c
		}
	}
	return nil
}

func main() {
	// Most commands end within a second and keep little; collecting a quarter as
	// often makes a short replay 8 ms faster. GOGC still decides where it is set.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	os.Exit(run(context.Background(), screen.New(os.Stdout, os.Stderr), os.Args[1:]))
}

// run executes pyrr with the given arguments and returns its exit status.
func run(ctx context.Context, u *screen.UI, args []string) int {
	if len(args) == 0 {
		printOverview(u.Err)
		return exitUsage
	}
	switch args[0] {
	case "-h", "--help":
		args = append([]string{"help"}, args[1:]...)
	case "--version":
		args = append([]string{"version"}, args[1:]...)
	}
	c := findCommand(args[0])
	if c == nil {
		err := hint.Usagef("there is no command %q", args[0])
		if strings.HasPrefix(args[0], "-") {
			err = hint.Usagef("unknown flag %s before the command", args[0])
		} else if near := assert.Nearest(args[0], commandNames()); near != "" {
			err.Next = []string{"pyrr " + strings.Join(append([]string{near}, args[1:]...), " ")}
		}
		if err.Next == nil {
			err.Next = []string{"pyrr help"}
		}
		u.Fail(err)
		return exitUsage
	}
	err := c.run(ctx, u, args[1:])
	if probe.Elsewhere && errors.Is(err, sys.ErrElsewhere) {
		err = probe.Cannot("replay")
	}
	if err == nil {
		return exitOK
	}
	if status, ok := errors.AsType[exitStatusError](err); ok {
		return int(status)
	}
	if errors.Is(err, pflag.ErrHelp) {
		return exitOK
	}
	if replay.Damaged(err) && len(hint.Of(err)) == 0 {
		err = hint.With(err, "it changed after it was made: fetch it again from there, or record anew; pyrr ls lists those that are here")
	}
	u.Fail(err)
	return c.exitStatus(err)
}

// run parses the flags of a command and runs it.
func (c *command) run(ctx context.Context, u *screen.UI, args []string) error {
	fs := c.flagSet()
	do := c.setup(fs)
	if c.rewrite != nil {
		args = c.rewrite(args)
	}
	if err := fs.Parse(args); err != nil {
		return c.flagError(fs, err)
	}
	if help, err := fs.GetBool("help"); err == nil && help {
		c.printHelp(u.Out)
		return nil
	}
	if c.settings != nil {
		if err := c.applySettings(fs); err != nil {
			return err
		}
	}
	if !c.runsProgram && !c.interactive {
		defer screen.OnInterrupt(func() {
			u.ClearStatus()
			u.Cleanups.Run()
			os.Exit(exitInterrupted)
		})()
	}
	args = fs.Args()
	if c.operand == "recording" && c.name != "push" && c.name != "pull" && c.name != "open" {
		var err error
		if args, err = find.FetchNamed(ctx, u, c.name, args); err != nil {
			return err
		}
	}
	return do(ctx, u, args)
}

func (c *command) flagSet() *pflag.FlagSet {
	fs := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
	fs.SetInterspersed(!c.runsProgram)
	fs.SortFlags = false
	fs.Usage = func() {}
	fs.BoolP("help", "h", false, "show this help")
	return fs
}

// flagError makes a usage error of what pflag says, with the flag that was
// probably meant.
func (c *command) flagError(fs *pflag.FlagSet, err error) error {
	out := hint.Usagef("%s: %v", c.name, err)
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
	out.Next = append(out.Next, "pyrr "+c.name+" --help")
	return out
}

// exitStatus maps an error to the exit status of the command; it is the only
// place that does.
func (c *command) exitStatus(err error) int {
	if _, ok := errors.AsType[*hint.Usage](err); ok && c.usageStatus == 0 {
		return exitUsage
	}
	if c.runsProgram {
		return exitOwn
	}
	switch {
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case hint.IsMachine(err):
		return exitMachine
	default:
		return exitUnjudged
	}
}
