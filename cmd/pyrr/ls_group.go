package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"pyrr/internal/contents"
	"pyrr/internal/find"
	"pyrr/internal/printable"
	"pyrr/internal/reason"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
)

// group are the recordings of one fault.
type group struct {
	// Fingerprint is "" for those without a verdict.
	Fingerprint string          `json:"fingerprint"`
	Sentence    string          `json:"sentence,omitempty"`
	Recordings  []contents.Line `json:"recordings"`
}

// groupsOf puts recordings together whose reason has one fingerprint: the most
// frequent first, those without a verdict last.
func groupsOf(u *screen.UI, all []contents.Line) []group {
	out := []group{}
	for _, l := range all {
		print, sentence := "", "no verdict"
		if l.Error != "" {
			sentence = "unreadable"
		} else {
			u.Status("reading %s", l.Path)
			print, sentence = reasonIn(l.Path)
			u.ClearStatus()
		}
		n := slices.IndexFunc(out, func(g group) bool { return g.Fingerprint == print && (print != "" || g.Sentence == sentence) })
		if n < 0 {
			n = len(out)
			out = append(out, group{Fingerprint: print, Sentence: sentence})
		}
		out[n].Recordings = append(out[n].Recordings, l)
	}
	slices.SortStableFunc(out, func(a, b group) int {
		if (a.Fingerprint == "") != (b.Fingerprint == "") {
			return strings.Compare(b.Fingerprint, a.Fingerprint)
		}
		return len(b.Recordings) - len(a.Recordings)
	})
	return out
}

// reasonIn reads the reason of a recording from its index: of many, none is replayed
// for it.
func reasonIn(path string) (fingerprint, sentence string) {
	rec, err := find.Open("ls", path)
	if err != nil {
		return "", "unreadable"
	}
	defer rec.Close()
	if _, err := rec.StackIndex(); errors.Is(err, recording.ErrNoIndex) {
		return "", "no index: pyrr explain replays it"
	}
	r, err := reason.Of(rec, false)
	switch {
	case err != nil:
		return "", "unreadable"
	case !r.Says():
		return "", "ended well"
	case r.Why.Fingerprint() == "":
		return "", "no verdict"
	}
	return r.Why.Fingerprint(), r.Why.Sentence
}

func printGroups(u *screen.UI, groups []group) {
	for i, g := range groups {
		if i > 0 {
			fmt.Fprintln(u.Out)
		}
		head := printable.Plural(uint64(len(g.Recordings)), "recording", "recordings")
		if g.Fingerprint != "" {
			head = g.Fingerprint + "  " + head
		}
		fmt.Fprintf(u.Out, "%s\n  %s\n", u.Paint(screen.Bold, printable.Line(head)), printable.Line(g.Sentence))
		for _, l := range g.Recordings {
			of := l.Test
			if of == "" {
				of = printable.Shorten(printable.ShellJoin(l.Command), 100)
			}
			fmt.Fprintf(u.Out, "    %s  %s\n", printable.Line(l.Path), printable.Line(of))
		}
	}
}
