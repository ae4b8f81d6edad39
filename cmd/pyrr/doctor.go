package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"pyrr/internal/probe"
)

func doctorCommand() *command {
	return &command{
		name:     "doctor",
		synopsis: "[--json] [PYTHON…]",
		short:    "say what this machine can record, and why not",
		long: `Tries on this machine what recording and replaying need: it starts a child,
traces it and makes it do each thing. Then it runs each PYTHON (by default
python3 and python) for a moment, to ask for its version, and looks in the
binary for the table by which pyrr counts instructions.`,
		examples: []example{
			{"pyrr doctor", "this machine, python3 and python"},
			{"pyrr doctor /opt/python3.13/bin/python3", "another interpreter"},
			{"pyrr doctor --json | jq .machine.can_record", "for a script"},
		},
		exits: []exitDoc{
			{"0", "this machine and these interpreters can be recorded"},
			{"2", "usage error"},
			{"4", "they can't; the reasons were printed"},
		},
		operand: "python",
		setup: func(fs *pflag.FlagSet) func(context.Context, *ui, []string) error {
			asJSON := fs.Bool("json", false, "print JSON")
			return func(ctx context.Context, u *ui, args []string) error {
				return doctor(ctx, u, args, *asJSON)
			}
		},
	}
}

// diagnosis is what doctor finds, in its JSON form.
type diagnosis struct {
	Version      versionInfo   `json:"pyrr"`
	Machine      *probe.Report `json:"machine"`
	Interpreters []interpreter `json:"interpreters"`
	Able         bool          `json:"able"`
}

func doctor(ctx context.Context, u *ui, names []string, asJSON bool) error {
	u.status("trying what this machine can do")
	d := diagnosis{Version: currentVersion(), Machine: probe.Machine()}
	asked := len(names) > 0
	if !asked {
		names = []string{"python3", "python"}
	}
	if !probe.Elsewhere { // there Pythons of another system would be asked
		d.Interpreters = inspectPythons(ctx, u, names, asked)
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
	u.clearStatus()
	if asJSON {
		if err := u.printJSON(d); err != nil {
			return err
		}
	} else {
		d.print(u)
	}
	if !d.Able {
		return exitStatusError(exitMachine)
	}
	return nil
}

// mark is a word for an answer, in colour where there is any.
func (u *ui) mark(a probe.Answer, need probe.Need) string {
	switch {
	case a == probe.Yes && need == probe.NeedNothing:
		return u.paintOut(dim, "    ")
	case a == probe.Yes:
		return u.paintOut(green, "ok  ")
	case need == probe.NeedNothing || need == probe.NeedSpeed:
		return u.paintOut(yellow, "note")
	case a == probe.Unsupported:
		return u.paintOut(red, "FAIL")
	default:
		return u.paintOut(yellow, "??? ")
	}
}

func (d *diagnosis) print(u *ui) {
	fmt.Fprintln(u.out, u.paintOut(bold, "This machine"))
	for _, f := range d.Machine.Features {
		line := f.Title
		if f.Value != "" {
			line += ": " + f.Value
		}
		fmt.Fprintf(u.out, "  %s  %s\n", u.mark(f.Answer, f.Need), cleanLine(line))
		if f.Answer != probe.Yes {
			fmt.Fprintf(u.out, "        %v: %s\n", f.Answer, cleanLine(f.Reason))
			if f.Remedy != "" {
				fmt.Fprintf(u.out, "        try: %s\n", cleanLine(f.Remedy))
			}
		}
	}
	if probe.Elsewhere {
		fmt.Fprintln(u.out, "\npyrr reads recordings here, and neither records nor replays.")
		return
	}
	fmt.Fprintln(u.out, u.paintOut(bold, "Interpreters"))
	for _, i := range d.Interpreters {
		i.print(u)
	}
	if len(d.Interpreters) == 0 {
		fmt.Fprintln(u.out, "  none: neither python3 nor python is in PATH")
	}
	fmt.Fprintln(u.out)
	switch record, replay := d.Machine.CanRecord(), d.Machine.CanReplay(); {
	case !record && !replay:
		fmt.Fprintln(u.out, u.paintOut(red, "pyrr can neither record nor replay here."))
	case !record:
		fmt.Fprintln(u.out, u.paintOut(red, "pyrr can replay here, but not record."))
	case !replay:
		fmt.Fprintln(u.out, u.paintOut(red, "pyrr can record here, but not replay."))
	case !d.Able && len(d.Interpreters) == 0:
		fmt.Fprintln(u.out, "pyrr can record here; name an interpreter: pyrr doctor /path/to/python3")
	case !d.Able:
		fmt.Fprintln(u.out, u.paintOut(red, "pyrr can record here, but can't count instructions in every interpreter asked for."))
	default:
		fmt.Fprintln(u.out, u.paintOut(green, "pyrr can record and replay here."))
	}
}

func (i *interpreter) print(u *ui) {
	word := u.paintOut(green, "ok  ")
	if !i.OK {
		word = u.paintOut(red, "FAIL")
	}
	title := i.Name
	if i.Executable != "" && i.Executable != i.Name {
		title += " → " + i.Executable
	}
	fmt.Fprintf(u.out, "  %s  %s\n", word, cleanLine(title))
	var about []string
	if i.Version != "" {
		about = append(about, strings.TrimSpace(i.Implementation+" "+i.Version))
	}
	if i.Table != "" {
		about = append(about, i.Table)
	}
	if len(about) > 0 {
		fmt.Fprintf(u.out, "        %s\n", cleanLine(strings.Join(about, ", ")))
	}
	if i.Reason != "" {
		fmt.Fprintf(u.out, "        %s\n", cleanLine(i.Reason))
	}
	if i.Remedy != "" {
		fmt.Fprintf(u.out, "        try: %s\n", cleanLine(i.Remedy))
	}
}
