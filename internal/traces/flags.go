package traces

import (
	"errors"
	"fmt"

	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/replay"
)

// Flags are the flags of pyrr bt.
type Flags struct {
	At, Thread, Format   string
	Process, Pid         int
	Python, C            bool
	Locals, Args, AsJSON bool
	Debuginfod, Tasks    bool
}

// Read takes the stacks from the index where it has all that is asked
// for, else from a replay.
func Read(u *screen.UI, rec *recording.Recording, f *Flags, places []place) ([]btStack, error) {
	if !f.Tasks && !f.Args && !f.Locals && f.Format != "gdb" && !between(places) {
		stacks, err := indexedStacks(rec, f, places)
		if err == nil {
			return stacks, nil
		}
		if !errors.Is(err, recording.ErrNoIndex) {
			return nil, err
		}
	}
	if err := replay.Able(rec); err != nil {
		return nil, err
	}
	u.Status("replaying …")
	defer u.ClearStatus()
	stacks, err := readPlaces(rec, f, places)
	if err != nil {
		return nil, fmt.Errorf("replay to the place: %w", err)
	}
	return stacks, nil
}
