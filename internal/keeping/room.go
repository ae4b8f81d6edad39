//go:build linux

package keeping

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"pyrr/internal/recording"
	"pyrr/internal/screen"
)

// made is the first of these files that there is, "" where there is none.
func made(names ...string) string {
	for _, name := range names {
		if _, err := os.Stat(name); err == nil {
			return name
		}
	}
	return ""
}

// holdsNothing reports whether the recording in a folder has no event, and can't be of use.
func holdsNothing(part string) bool {
	rec, err := recording.Open(part)
	if err != nil {
		return true
	}
	defer rec.Close()
	procs, err := rec.Procs()
	return err == nil && len(procs) == 0
}

// short reports whether something could not be written for want of room.
func short(err error) bool {
	return errors.Is(err, unix.EFBIG) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

// roomFor is what to do where something could not be written for want of room, "" for
// what it is not.
func roomFor(err error) string {
	switch {
	case errors.Is(err, unix.EFBIG):
		return "ulimit -f unlimited"
	case short(err):
		return "pyrr record -o DIR …, with a DIR on another disk"
	}
	return ""
}

func sayRoom(u *screen.UI, err error) {
	if what := roomFor(err); what != "" {
		u.Hint(what)
	}
}
