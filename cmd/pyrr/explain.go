package main

import (
	"context"
	"fmt"

	"pyrr/internal/cli"
	"pyrr/internal/hint"
	"pyrr/internal/paging"
	"pyrr/internal/printable"
	"pyrr/internal/reason"
	"pyrr/internal/screen"
	"pyrr/internal/show"

	"github.com/spf13/pflag"
)

const explainText = `Of a hang it says in a sentence who waits for what, who holds it or owes it, and
at which line of the program; of a failed test or program the exception, the line
of its own code, and its variables as they were when it was raised, each with where
it was changed last; of a crash the signal, the address and the stack; of a killed
process who sent the signal. The lines below are the evidence, each with a position for pyrr
replay --at; then come the stacks of all threads and tasks, those concerned first,
with the frames of the program's own code (--full: all).

A verdict is proven, where the circle or the holder is in the recording; likely,
and then a line says what is missing; or none: then the stacks must do.

It reads the index that pyrr record makes, on any machine; without one it replays
the recording.`

func explainCommand() *cli.Command {
	return &cli.Command{
		Name:     "explain",
		Synopsis: "[--all] [--full] [--unlike RECORDING] [--json | --markdown | --github | --fingerprint] RECORDING | --pid PID",
		Short:    "say why the program hung or failed",
		Long:     explainText,
		Examples: []cli.Example{
			{"pyrr explain recordings/test_pool-k3x9fa.pyrr.zip", ""},
			{"pyrr explain --unlike passed.pyrr.zip failed.pyrr.zip", "and what it got that the run that passed did not"},
			{"pyrr explain --json app.pyrr.zip | jq -r .why.sentence", "for a script"},
			{"pyrr explain --pid 4711", "why a program hangs that runs now"},
			{"pyrr explain --pid 4711 --for 1s", "the same of one that computes or polls"},
		},
		Exits: []cli.Exit{
			{"0", "it was explained"},
			{"2", "usage error"},
			{"3", "the recording is missing or damaged, or its replay diverged"},
			{"4", "this machine can't replay it, and it has no index"},
			{"5", "every process ended by itself: there is nothing to explain"},
		},
		Operand: "recording",
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			g := declareGlance(fs)
			all := fs.Bool("all", false, "the ends of processes that ended by themselves too")
			full := fs.Bool("full", false, "whole stacks, with the frames of libraries and of C")
			asJSON := fs.Bool("json", false, "print JSON")
			markdown := fs.Bool("markdown", false, "print a block for a bug report")
			fingerprint := fs.Bool("fingerprint", false, "print what is the same for the same fault in other runs")
			unlike := fs.String("unlike", "", "a `recording` of a run that passed: say what this one got that that one did not")
			github := fs.Bool("github", false, "print an annotation for GitHub Actions")
			return func(_ context.Context, u *screen.UI, args []string) error {
				if g.record > 0 && g.pid == 0 {
					return hint.Usagef("explain: --for goes with --pid")
				}
				rec, path, done, err := recordingOrProcess(u, "explain", *g, args)
				if err != nil {
					return err
				}
				defer done()
				u.Status("reading %s", path)
				r, err := reason.Of(rec, *all)
				u.ClearStatus()
				if err != nil {
					return show.ReplayFailed(err, path)
				}
				if *unlike != "" {
					if r.Unlike, err = paging.UnlikeOf(u, rec, path, *unlike); err != nil {
						return err
					}
				}
				switch {
				case *fingerprint:
					return printFingerprint(u, r)
				case *markdown:
					return show.Markdown(u, rec, path, r)
				case *github:
					show.Annotate(u, rec, r)
					return nil
				case *asJSON:
					err = printExplanation(u, r)
				default:
					if r.Says() {
						show.Explain(u, rec, r, *full)
					}
					g.hint(u, r)
				}
				if err == nil && !r.Says() {
					u.Note("every process ended by itself, so nothing hung")
					u.Hint("pyrr explain --all " + printable.ShellQuote(path))
					err = cli.Status(cli.ExitNothing)
				}
				return err
			}
		},
	}
}

// printFingerprint prints what is the same for the same fault in other runs.
func printFingerprint(u *screen.UI, r *reason.Reason) error {
	if f := r.Why.Fingerprint(); f != "" {
		fmt.Fprintln(u.Out, f)
		return nil
	}
	u.Note("no verdict, so there is no fingerprint")
	return cli.Status(cli.ExitNothing)
}

// printExplanation prints the JSON form.
func printExplanation(u *screen.UI, r *reason.Reason) error {
	x := show.NewExplanation(r.Why, r.Ends)
	if r.Unlike != nil {
		x.Causes, x.Followed = r.Unlike.Causes(), r.Unlike.Followed("the run that passed", "this run")
	}
	return u.PrintJSON(x)
}
