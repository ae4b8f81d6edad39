package main

import (
	"slices"

	"pyrr/internal/compare"
	"pyrr/internal/facts"
	"pyrr/internal/find"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/show"
)

// compared compares two recordings: of pytest's the last test that both have.
func compared(u *screen.UI, recs [2]*recording.Recording, paths [2]string) (*compare.Result, error) {
	var sides [2]*compare.Side
	for i, rec := range recs {
		u.Status("reading %s", paths[i])
		side, err := compare.Read(facts.New(rec, u.Cleanups.Add))
		u.ClearStatus()
		if err != nil {
			return nil, show.ReplayFailed(err, paths[i])
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

// unlikeOf compares a recording with one of a run that passed.
func unlikeOf(u *screen.UI, rec *recording.Recording, path, passed string) (*compare.Result, error) {
	other, err := find.Open("explain", passed)
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
