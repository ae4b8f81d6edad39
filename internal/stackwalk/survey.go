package stackwalk

import (
	"cmp"
	"slices"
	"time"

	"pyrr/internal/hang"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// maxWatched is how many locks one round watches: as many places as the processor does.
const maxWatched = 4

// rounds goes the way as often as there are locks left to watch. Of more than one round
// watches it first goes once without: it notes before which event each was free last, for
// nobody has taken it before that for good. So the rounds begin late, and those of locks
// that were taken near the end, as in a deadlock, are short.
func (j *journey) rounds(start recording.Pos) {
	began := time.Now()
	free := map[uint64]uint64{} // by word, the event behind which a round for it begins
	early := func(a, b hang.Ask) int { return cmp.Compare(free[a.Word], free[b.Word]) }
	late := func(a, b hang.Ask) int { return early(b, a) }
	moved := words(j.asks) > maxWatched
	if moved {
		if free = j.survey(); j.over {
			return
		}
	}
	for {
		round := time.Now()
		from := start
		if words(j.asks) < len(j.asks) { // calls that it stops at need all of the way
			slices.SortStableFunc(j.asks, early)
		} else {
			slices.SortStableFunc(j.asks, late) // their rounds are the shortest
			last := j.asks[min(len(j.asks), maxWatched)-1]
			from.Event = max(from.Event, free[last.Word])
		}
		if moved {
			if _, err := j.x.RunTo(from); err != nil {
				return
			}
		}
		j.begin()
		j.run()
		j.close()
		if moved = true; len(j.asks) == 0 || j.over || time.Since(began)+time.Since(round) > j.most {
			return
		}
	}
}

// words is how many questions are about locks whose words can be watched.
func words(asks []hang.Ask) int {
	n := 0
	for i := range asks {
		if asks[i].Word != 0 {
			n++
		}
	}
	return n
}

// survey goes to the end and returns, by the words of locks, the event behind which each
// is locked from then on, as far as that is seen before events; 0 where it was never free.
func (j *journey) survey() map[uint64]uint64 {
	late := map[uint64]uint64{}
	var asks []*hang.Ask
	var bufs [][]byte
	var addrs []uint64
	for i := range j.asks {
		if a := &j.asks[i]; a.Word != 0 {
			asks, bufs, addrs = append(asks, a), append(bufs, make([]byte, a.Len)), append(addrs, a.Word)
		}
	}
	j.x.SetBreaks(nil)
	j.x.SetWatches(nil)
	st, err := j.x.Each(func(p *replay.Process, _ *recording.Event) {
		m := p.Mem()
		whole := 0
		if b, ok := m.(interface {
			ReadBatch([][]byte, []uint64) int
		}); ok {
			whole = b.ReadBatch(bufs, addrs)
		}
		for i := whole; i < len(bufs); i++ {
			if m.ReadAt(bufs[i], addrs[i]) != nil { // it is not there yet
				late[addrs[i]] = p.Number + 1
				clear(bufs[i])
				setFree(bufs[i], asks[i])
			}
		}
		for i, a := range asks {
			if !isLocked(bufs[i], a) {
				late[a.Word] = p.Number + 1
			}
		}
	})
	if err != nil || st.Kind == replay.StopInterrupted {
		j.over = true
	}
	return late
}

func setFree(b []byte, a *hang.Ask) {
	for k := range b {
		b[k] = byte(a.Free >> (8 * k))
	}
}

// isLocked says whether what lies at the word of a lock says that somebody has it.
func isLocked(b []byte, a *hang.Ask) bool {
	value := uint64(0)
	for k := range b {
		value |= uint64(b[k]) << (8 * k)
	}
	return value&a.Mask != a.Free
}
