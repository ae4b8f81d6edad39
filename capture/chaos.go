package capture

import (
	"math/rand/v2"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/sys"
)

// chaos chooses schedules that a machine would rarely choose, from a seed: the order
// of ready threads is random, and so is after how many instructions one has to give
// way. Each seed has a scale of its own for that, from a few instructions, which
// catches what lies in a narrow place, to a slice as long as any: a race of two long
// stretches. A few slices have any length.
//
// A thread that waits for the GIL asks for it only when its wait, for the switch
// interval, times out. By the clock that is a matter of chance; here it times out at
// once, where another thread could run, and the thread is in line like any other: when
// it is chosen, it asks, and the one that has the GIL drops it at the next place where
// it may. There it may have to stand while all others do what they can (bench). A
// half of the seeds leave to chance who does and where; the others go through the
// places in turn, since each is one of many, and most benches elsewhere let the others
// be through before the narrow place.
type chaos struct {
	rnd   *rand.Rand
	max   uint64
	scale uint64
	odds  int // that a thread which gives the GIL away is benched: one in so many
	// target is the thread that is benched where it gives the GIL away after it has so
	// for nth times, 0 where that is left to chance. For its first fine slices it is
	// asked all the time.
	target, nth, fine int
}

// chance is what chaos has in mind with a thread.
type chance struct {
	number  int  // of its process's threads, from 1 on
	dropped int  // how often it gave the GIL away
	lapsed  bool // its wait timed out by chaos: others go first
	benched int  // how often it is passed over
	// askedAt and askedOf are the instruction count, and how often the GIL was given
	// away, when it asked for it last.
	askedAt uint64
	askedOf int
}

// chaosScales are the lengths of slices that seeds have in turn, and chaosOdds how
// often one has to bench where that is left to chance.
var (
	chaosScales = []uint64{6, 12, 25, 100, 1_000, 50_000}
	chaosOdds   = []int{4, 8, 16, 32, 2}
)

// Of four seeds two have the second thread stand at each place in turn, and one the
// first or the third; far places less often than near ones.
const (
	chaosTurns = 4
	nearPlaces = 10
	farPlaces  = 40
	fineSlices = 4000
)

func newChaos(seed, max uint64) *chaos {
	c := &chaos{rnd: rand.New(rand.NewPCG(seed, 0x7079727263686173)), max: min(max, 50_000)}
	turn := int(seed / chaosTurns % (1 << 20))
	c.scale = min(chaosScales[turn%len(chaosScales)], c.max)
	c.odds = chaosOdds[turn%len(chaosOdds)]
	switch seed % chaosTurns {
	case 1:
		c.target, c.nth = 2, turn%nearPlaces
	case 2:
		c.target, c.nth = 1+turn%2*2, turn/2%nearPlaces
	case 3:
		c.target, c.nth = 2, (turn+nearPlaces/2)%nearPlaces
		if turn%4 == 3 {
			c.nth = nearPlaces + turn/4%farPlaces
		}
	}
	if c.target > 0 {
		c.fine, c.scale = fineSlices, min(25, c.max)
	}
	return c
}

func (c *chaos) pick(n int) int { return c.rnd.IntN(n) }

// leastBench is how often a thread is passed over at least, and up to 1 << longerBench
// times that.
const leastBench, longerBench = 256, 5

// bench may let a thread that stands where it has just given the GIL away stand there
// while others do much; one at a time.
func (c *chaos) bench(t *task) {
	t.dropped++
	t.proc.drops++
	for _, o := range t.proc.tasks {
		if o.benched > 0 {
			return
		}
	}
	switch {
	case c.target > 0 && t.number == c.target && t.dropped == c.nth+1:
		t.benched = leastBench << longerBench
	case c.target == 0 && c.rnd.IntN(c.odds) == 0:
		t.benched = leastBench << c.rnd.IntN(longerBench+1)
	}
}

// choose gives the slot to one of those in line.
func (c *chaos) choose(line []*task) int {
	var free []int
	for i, t := range line {
		if t.benched == 0 {
			free = append(free, i)
		}
	}
	if len(free) == 0 {
		// The others wait for it, if only to have woken up. It stays on the bench.
		return c.pick(len(line))
	}
	for _, t := range line {
		t.benched = max(0, t.benched-1)
	}
	return free[c.pick(len(free))]
}

// slice is how many instructions a thread may execute while others are in line.
func (c *chaos) slice(t *task) uint64 {
	const any, next = 3, 2 // of a hundred; instructions
	if c.fine > 0 && t.number == c.target && t.dropped <= c.nth {
		c.fine--
		return next
	}
	if c.rnd.IntN(100) < any {
		return 1 + c.rnd.Uint64N(c.max)
	}
	return 1 + c.rnd.Uint64N(c.scale)
}

// assemble waits until each thread of a process is in line or asleep: who was woken by
// the last one is chosen from as well, however fast the machine is.
func (r *recorder) assemble(p *process) {
	const most = 50
	p.assembling = true
	defer func() { p.assembling = false }()
	for range most {
		r.collect(p)
		if p.mode != modeRecord || !r.onItsWay(p) {
			return
		}
		ptrace.Yield()
	}
}

// onItsWay reports whether a thread of a process is about to come out of a call.
func (r *recorder) onItsWay(p *process) bool {
	const crowd = 64 // too many to look at each
	if len(p.tasks) > crowd {
		return false
	}
	for _, t := range p.tasks {
		if !t.stopped && !t.dead && t.state == stateRun && t.sys == callLogged && !r.kernel.sleeping(t.tid) {
			return true
		}
	}
	return false
}

// lapses reports whether the wait of a thread for the GIL, before which it stands, times
// out at once: another one is ready to run meanwhile.
func (r *recorder) lapses(t *task) bool {
	const cmdMask, wait, waitBitset = 0x7f, 0, 9 // linux/futex.h
	p := t.proc
	if r.chaos == nil || p.clock == nil || p.cur != t || t.ev.Nr != sys.SYS_FUTEX {
		return false
	}
	cmd := t.ev.Args[1] & cmdMask
	if cmd != wait && cmd != waitBitset {
		return false
	}
	if p.statics.End == 0 {
		p.statics = staticsOf(t.pid, p.clock.Writes[len(p.clock.Writes)-1].Addr)
	}
	if t.ev.Args[0] < p.statics.Start || t.ev.Args[0] >= p.statics.End {
		return false
	}
	if t.ev.Args[3] == 0 {
		if cmd == waitBitset {
			// It waits for another one to take the GIL that it gave away.
			r.chaos.bench(t)
		}
		return false
	}
	// It has asked already, and nobody has given the GIL away since.
	const again = 64 // instructions: a call that waits takes the question away
	if len(p.ready) == 0 || t.askedAt != 0 && t.askedOf == p.drops && p.base < t.askedAt+again {
		return false
	}
	t.askedAt, t.askedOf = p.base, p.drops
	return true
}

// staticsOf is where the module that has an address in it has its data. Nothing else in
// there is waited for with a time-out but the GIL.
func staticsOf(pid int, addr uint64) (found linux.Mapping) {
	maps, err := linux.ReadMaps(pid)
	found.Start, found.End = addr, addr+1
	if err != nil {
		return found
	}
	name := ""
	for _, m := range maps {
		if m.Start <= addr && addr < m.End {
			name = m.Path
		}
	}
	for _, m := range maps {
		if name != "" && m.Path == name || m.Path == "" && m.Start == found.End { // .bss
			found.Start, found.End = min(found.Start, m.Start), max(found.End, m.End)
		}
	}
	return found
}
