package main

import (
	"fmt"
	"slices"

	"pyrr/internal/compare"
	"pyrr/internal/recording"
)

// compared compares two recordings: of pytest's the last test that both have.
func compared(u *ui, recs [2]*recording.Recording, paths [2]string) (*compare.Result, error) {
	var sides [2]*compare.Side
	for i, rec := range recs {
		u.status("reading %s", paths[i])
		side, err := compare.Read(newSource(rec, u.cleanups.add))
		u.clearStatus()
		if err != nil {
			return nil, replayFailed(err, paths[i])
		}
		side.World = &compare.World{Command: rec.Header().Command}
		if procs, err := rec.Procs(); err == nil && len(procs) > 0 {
			side.World.Env, side.World.Python = procs[0].Env, procs[0].Python
		}
		sides[i] = side
	}
	tests := sides[1].Tests()
	for i := len(tests) - 1; i >= 0; i-- {
		if slices.Contains(sides[0].Tests(), tests[i]) {
			sides[0].Within(tests[i])
			sides[1].Within(tests[i])
			break
		}
	}
	return compare.Sides(sides[0], sides[1]), nil
}

// printReasons prints what the second run got that the first did not, what followed
// and how it ended.
func printReasons(u *ui, r *compare.Result, second *recording.Recording) {
	printCauses(u, r, runNames{"the first run", "the second run", "first", "second"})
	why, err := reasons(second, false)
	if err == nil && why.Says() {
		fmt.Fprintf(u.out, "At the end of the second run: %s\n", cleanLine(why.Why.Sentence))
	}
}

// runNames are how two runs are called, in sentences and in columns.
type runNames struct{ first, second, a, b string }

// printCauses prints what the second run got that the first did not, and what
// followed.
func printCauses(u *ui, r *compare.Result, names runNames) {
	causes := r.Causes()
	fmt.Fprintln(u.out)
	if len(causes) == 0 {
		fmt.Fprintln(u.out, "Nothing that the runs got before they parted differs, as far as the recordings show it.")
	} else {
		fmt.Fprintln(u.out, u.paintOut(bold, "What "+names.second+" got that "+names.first+" did not:"))
	}
	for _, c := range causes {
		fmt.Fprintf(u.out, "  %-11s  %s\n", c.Kind, cleanLine(c.What))
		fmt.Fprintf(u.out, "  %-11s    %-6s  %s\n", at(r.A, c.A), names.a, cleanLine(c.First))
		fmt.Fprintf(u.out, "  %-11s    %-6s  %s\n", at(r.B, c.B), names.b, cleanLine(c.Second))
	}
	if text := r.Followed(names.first, names.second); text != "" {
		fmt.Fprintf(u.out, "What followed: %s.\n", cleanLine(text))
	}
}

// at is the position of an event as replay --at takes it.
func at(s *compare.Side, i int) string {
	if i < 0 {
		return ""
	}
	e := s.Event(i)
	if e.Proc > 1 {
		return fmt.Sprintf("e%d (%d)", e.Pos.Event, e.Proc)
	}
	return fmt.Sprintf("e%d", e.Pos.Event)
}

// unlikeOf compares a recording with one of a run that passed.
func unlikeOf(u *ui, rec *recording.Recording, path, passed string) (*compare.Result, error) {
	other, err := openRecording("explain", passed)
	if err != nil {
		return nil, err
	}
	defer other.Close()
	r, err := compared(u, [2]*recording.Recording{other, rec}, [2]string{passed, path})
	if err != nil {
		return nil, err
	}
	return r, nil
}
