package traces

import (
	"slices"

	"pyrr/internal/recording"
	"pyrr/replay"
)

// travelledStacks reads stacks, or tasks, at a place between two events: a
// session stops the process before the very instruction.
func travelledStacks(rec *recording.Recording, f *Flags, at *place) ([]btStack, error) {
	_, order, err := lastEvents(rec, at)
	if err != nil {
		return nil, err
	}
	x, err := replay.Open(rec, replay.Options{})
	if err != nil {
		return nil, err
	}
	defer x.Close()
	if err := x.Select(at.proc.ID); err != nil {
		return nil, err
	}
	if _, err := x.ToCount(at.instr); err != nil {
		return nil, err
	}
	walk := NewBtWalk(rec)
	walk.debuginfod(f)
	var out []btStack
	err = x.With(func(p *replay.Process, cur *replay.Thread) error {
		// What comes next is what the thread is on its way to.
		at.event, at.text = p.Number, ""
		if cur != nil {
			at.tid = cur.TID
		}
		if f.Tasks {
			var err error
			out, err = tasksOf(p, at, f)
			return err
		}
		walk.At(p)
		wp := walk.Procs[p.Info.ID]
		for i, tid := range order {
			wp.Numbers[tid] = i + 1
		}
		out = walk.full(p, at, f)
		return nil
	})
	return out, err
}

// readPlaces reads each place in the way that it takes.
func readPlaces(rec *recording.Recording, f *Flags, places []place) ([]btStack, error) {
	events := slices.DeleteFunc(slices.Clone(places), func(p place) bool { return p.between })
	var out []btStack
	if len(events) > 0 {
		read := replayedStacks
		if f.Tasks {
			read = replayedTasks
		}
		var err error
		if out, err = read(rec, f, events); err != nil {
			return nil, err
		}
	}
	for i := range places {
		if places[i].between {
			more, err := travelledStacks(rec, f, &places[i])
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
	}
	return out, nil
}
