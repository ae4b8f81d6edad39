package stackwalk

import (
	"cmp"
	"slices"
	"time"

	"pyrr/internal/hang"
	"pyrr/internal/recording"
)

// maxActs is how long the way may take that looks for the last acts.
const maxActs = 8 * time.Second

// divide tells questions about who took something from those about other acts, which
// nobody asks of a test that failed.
func divide(f *hang.Facts) (asks, acts []hang.Ask) {
	for _, a := range f.Asks {
		switch {
		case a.Act == "":
			asks = append(asks, a)
		case f.Raised == nil:
			acts = append(acts, a)
		}
	}
	return asks, acts
}

// acts goes the way once more, for the last time that each act was done; false says that
// nothing can be gone any more.
func (j *journey) acts(start recording.Pos, asks []hang.Ask) bool {
	if _, err := j.x.RunTo(start); err != nil {
		return false
	}
	late := time.AfterFunc(maxActs, j.x.Interrupt)
	defer late.Stop()
	early := j.early
	j.asks = asks
	j.begin()
	j.run()
	j.close()
	j.early = early
	type act struct {
		turn int
		hang.Taken
	}
	found := map[int][]act{}
	for _, c := range j.calls {
		if len(c.last) == 0 {
			continue
		}
		last := &c.last[len(c.last)-1]
		j.resolve(last)
		last.Act = c.ask.Act
		found[c.ask.Thing] = append(found[c.ask.Thing], act{last.turn, last.Taken})
	}
	for thing, all := range found {
		slices.SortFunc(all, func(a, b act) int { return cmp.Compare(a.turn, b.turn) })
		for _, a := range all {
			j.facts.Things[thing].Acts = append(j.facts.Things[thing].Acts, a.Taken)
		}
	}
	return !j.over
}
