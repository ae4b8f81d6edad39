package stackwalk

import (
	"time"

	unix "pyrr/internal/sys"
)

// load is the processor time of pyrr itself when a replay began.
type load time.Duration

// busyness is how many times longer a replay took, which began then and lasted so long, than
// it would have on a machine that has nothing else to do: at least 1, and 4 at most, so that
// what is bounded by it has an end. Pyrr has at least a third of the time that both it and
// the replayed process take in turns.
func (l load) busyness(took time.Duration) time.Duration {
	const (
		parts = 3
		most  = 4
	)
	own := ownTime() - time.Duration(l)
	if own <= 0 {
		return 1
	}
	return max(1, min(most, took/(parts*own)))
}

// ownTime is the processor time that this process has taken, 0 where that is not known.
func ownTime() time.Duration {
	const cpuTime = 2 // CLOCK_PROCESS_CPUTIME_ID of clock_gettime(2)
	var ts unix.Timespec
	if unix.ClockGettime(cpuTime, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
