package stackwalk

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"pyrr/internal/hang"
	"pyrr/internal/recording"
)

// maxActs is how long the way may take that looks for the last acts.
const maxActs = 8 * time.Second

// divide tells questions about who took something from those about other acts, and about
// who wrote to a file, which nobody asks of a test that failed.
func divide(f *hang.Facts) (asks, acts, wrote []hang.Ask) {
	for _, a := range f.Asks {
		switch {
		case a.Act == "":
			asks = append(asks, a)
		case f.Raised != nil:
		case a.Act == hang.WroteFile:
			wrote = append(wrote, a)
		default:
			acts = append(acts, a)
		}
	}
	return asks, acts, wrote
}

// wrote goes the way twice more, for who wrote what lies in the buffers of files: once to
// see before which events they were empty last, and then from there. false is as of acts.
func (j *journey) wrote(start recording.Pos, asks []hang.Ask) bool {
	return j.again(start, asks, func() { j.wroteFrom(start, asks) })
}

// again goes the way once more, by a function; nothing of that is about who held a lock at a fork.
func (j *journey) again(start recording.Pos, asks []hang.Ask, way func()) bool {
	if _, err := j.x.RunTo(start); err != nil {
		return false
	}
	late := time.AfterFunc(maxActs, j.x.Interrupt)
	defer late.Stop()
	early := j.early
	j.asks = asks
	way()
	j.early = early
	return !j.over
}

func (j *journey) wroteFrom(start recording.Pos, asks []hang.Ask) {
	behind := []uint64{0}
	if !slices.ContainsFunc(asks, func(a hang.Ask) bool { return a.Through != 0 }) { // those took it earlier
		behind = slices.Collect(maps.Values(j.survey()))
	}
	if !j.over && len(behind) > 0 {
		start.Event = max(start.Event, slices.Min(behind))
		if _, err := j.x.RunTo(start); err != nil {
			return
		}
		j.begin()
		j.run()
		j.close()
	}
}

// acts goes the way once more, for the last time that each act was done; false says that
// nothing can be gone any more.
func (j *journey) acts(start recording.Pos, asks []hang.Ask) bool {
	gone := j.again(start, asks, func() {
		j.begin()
		j.run()
		j.close()
	})
	type act struct {
		turn int
		hang.Taken
	}
	found := map[int][]act{}
	for _, c := range j.inOrder() {
		if len(c.last) == 0 {
			continue
		}
		last := &c.last[len(c.last)-1]
		j.resolve(last)
		last.Act = c.ask.Act
		found[c.ask.Thing] = append(found[c.ask.Thing], act{last.turn, last.Taken})
	}
	for thing, all := range found {
		slices.SortStableFunc(all, func(a, b act) int { return cmp.Compare(a.turn, b.turn) })
		for _, a := range all {
			j.facts.Things[thing].Acts = append(j.facts.Things[thing].Acts, a.Taken)
		}
	}
	return gone
}

// inOrder are the functions that were looked at, in the order of what is asked.
func (j *journey) inOrder() []*takes {
	return slices.SortedFunc(maps.Values(j.calls), func(a, b *takes) int { return a.nth - b.nth })
}
