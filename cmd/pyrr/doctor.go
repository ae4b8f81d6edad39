package main

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"pyrr/internal/cli"
	"pyrr/internal/doctor"
	"pyrr/internal/printable"
	"pyrr/internal/probe"
	"pyrr/internal/screen"
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:     "doctor",
		Synopsis: "[--json] [PYTHON…]",
		Short:    "say what this machine can record, and why not",
		Long: `Tries on this machine what recording and replaying need: it starts a child,
traces it and makes it do each thing. Then it runs each PYTHON (by default
python3 and python) for a moment, to ask for its version, and looks in the
binary for the table by which pyrr counts instructions.`,
		Examples: []cli.Example{
			{"pyrr doctor", "this machine, python3 and python"},
			{"pyrr doctor /opt/python3.13/bin/python3", "another interpreter"},
			{"pyrr doctor --json | jq .machine.can_record", "for a script"},
		},
		Exits: []cli.Exit{
			{"0", "this machine and these interpreters can be recorded"},
			{"2", "usage error"},
			{"4", "they can't; the reasons were printed"},
		},
		Operand: "python",
		Fits:    true,
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			asJSON := fs.Bool("json", false, "print JSON")
			return func(ctx context.Context, u *screen.UI, args []string) error {
				return runDoctor(ctx, u, args, *asJSON)
			}
		},
	}
}

// diagnosis is what doctor finds, in its JSON form.
type diagnosis struct {
	Version      versionInfo          `json:"pyrr"`
	Machine      *probe.Report        `json:"machine"`
	Interpreters []doctor.Interpreter `json:"interpreters"`
	Able         bool                 `json:"able"`
}

func runDoctor(ctx context.Context, u *screen.UI, names []string, asJSON bool) error {
	u.Status("trying what this machine can do")
	d := diagnosis{Version: currentVersion(), Machine: probe.Machine()}
	asked := len(names) > 0
	if !asked {
		names = []string{"python3", "python"}
	}
	if !probe.Elsewhere { // there Pythons of another system would be asked
		d.Interpreters = doctor.Inspect(ctx, u, names, asked)
	}
	d.Able = d.Machine.CanRecord() && d.Machine.CanReplay()
	usable := false
	for _, i := range d.Interpreters {
		usable = usable || i.OK
		if asked && !i.OK {
			d.Able = false
		}
	}
	if !usable {
		d.Able = false
	}
	u.ClearStatus()
	if asJSON {
		if err := u.PrintJSON(d); err != nil {
			return err
		}
	} else {
		d.print(u)
	}
	if !d.Able {
		return cli.Status(cli.ExitMachine)
	}
	return nil
}

func (d *diagnosis) print(u *screen.UI) {
	fmt.Fprintln(u.Out, u.Paint(screen.Bold, "This machine"))
	for _, f := range d.Machine.Features {
		line := f.Title
		if f.Value != "" {
			line += ": " + f.Value
		}
		fmt.Fprintf(u.Out, "  %s  %s\n", doctor.Mark(u, f.Answer, f.Need), printable.Line(line))
		if f.Answer != probe.Yes {
			fmt.Fprintf(u.Out, "        %v: %s\n", f.Answer, printable.Line(f.Reason))
			if f.Remedy != "" {
				fmt.Fprintf(u.Out, "        try: %s\n", printable.Line(f.Remedy))
			}
		}
	}
	if probe.Elsewhere {
		fmt.Fprintln(u.Out, "\npyrr reads recordings here, and neither records nor replays.")
		return
	}
	fmt.Fprintln(u.Out, u.Paint(screen.Bold, "Interpreters"))
	for _, i := range d.Interpreters {
		i.Print(u)
	}
	if len(d.Interpreters) == 0 {
		fmt.Fprintln(u.Out, "  none: neither python3 nor python is in PATH")
	}
	fmt.Fprintln(u.Out)
	switch record, replay := d.Machine.CanRecord(), d.Machine.CanReplay(); {
	case !record && !replay:
		fmt.Fprintln(u.Out, u.Paint(screen.Red, "pyrr can neither record nor replay here."))
	case !record:
		fmt.Fprintln(u.Out, u.Paint(screen.Red, "pyrr can replay here, but not record."))
	case !replay:
		fmt.Fprintln(u.Out, u.Paint(screen.Red, "pyrr can record here, but not replay."))
	case !d.Able && len(d.Interpreters) == 0:
		fmt.Fprintln(u.Out, "pyrr can record here; name an interpreter: pyrr doctor /path/to/python3")
	case !d.Able:
		fmt.Fprintln(u.Out, u.Paint(screen.Red, "pyrr can record here, but can't count instructions in every interpreter asked for."))
	default:
		fmt.Fprintln(u.Out, u.Paint(screen.Green, "pyrr can record and replay here."))
	}
}
