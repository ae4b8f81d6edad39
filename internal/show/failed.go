package show

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"pyrr/internal/headroom"
	"pyrr/internal/hint"
	"pyrr/internal/listing"
	"pyrr/internal/logview"
	"pyrr/internal/printable"
	"pyrr/internal/probe"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// Cannot says what this machine lacks, as the probe found it.
func Cannot(what string, f probe.Feature, err error) error {
	return hint.With(hint.Machinef("this machine can't %s: %s (%v)", what, f.Reason, err), f.Remedy, "pyrr doctor")
}

// ReplayFailed explains why a replay ended early.
func ReplayFailed(err error, path string) error {
	if d, ok := errors.AsType[*replay.Divergence](err); ok {
		return hint.With(errors.New(DivergenceText(d)), fmt.Sprintf("pyrr events %s --process %d", printable.ShellQuote(path), d.Process))
	}
	if replay.Damaged(err) || probe.Elsewhere { // that says all
		return err
	}
	if errors.Is(err, syscall.EAGAIN) { // of a fork: the probe would find as much of each call
		return headroom.Crowded(err)
	}
	if hint.IsMachine(err) { // that, too
		return err
	}
	if missing := probe.Machine().Missing(true); len(missing) > 0 {
		return Cannot("replay", missing[0], err)
	}
	return err
}

// Truncations says of each process whose recording stops before its end,
// where and why.
func Truncations(rec *recording.Recording) ([]string, error) {
	procs, err := rec.Procs()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, p := range procs {
		end, err := rec.LastEvent(p.ID)
		if err != nil {
			return out, err
		}
		s := ""
		switch end.Why {
		case recording.EndTruncated:
			s = fmt.Sprintf("truncated at instruction %s", printable.Grouped(end.Instr))
		case recording.EndDetached:
			s = fmt.Sprintf("stopped at instruction %s", printable.Grouped(end.Instr))
			if end.Text != "" {
				s += ": " + end.Text
			}
		default:
			continue
		}
		if len(procs) > 1 {
			s = fmt.Sprintf("process %d %s", p.ID, s)
		}
		out = append(out, s)
	}
	return out, nil
}

// DivergenceText shows both sides of a divergence and what came before it.
func DivergenceText(d *replay.Divergence) string {
	var b strings.Builder
	fmt.Fprintf(&b, "the replay diverged at instruction %s, event %s of process %d (pid %d), so nothing was judged\n",
		printable.Grouped(d.Pos.Instr), printable.Grouped(d.Pos.Event), d.Process, d.PID)
	fmt.Fprintf(&b, "  recorded  %s\n  came      %s", printable.Line(listing.Event(&d.Want)), printable.Line(d.Got))
	if len(d.Before) > 0 {
		b.WriteString("\n  before it, the same in both:")
	}
	p := logview.NewFollower(&recording.Process{ID: d.Process, PID: d.PID})
	for i := range d.Before {
		ev := &d.Before[i]
		n := d.Pos.Event - uint64(len(d.Before)-i)
		v := listing.NewView(ev, p.Take(n, ev).Enter, p)
		fmt.Fprintf(&b, "\n%12s %9s %8d  %s", printable.Grouped(ev.Instr), printable.Grouped(n), ev.TID, printable.Line(v.Text))
	}
	return b.String()
}
