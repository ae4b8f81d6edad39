package capture

import "math/rand/v2"

// chaos chooses schedules that a machine would rarely choose, from a seed.
// Most slices are ordinary; some are a few instructions long, which catches
// races in narrow places, and the order of ready threads is random.
type chaos struct {
	rnd *rand.Rand
	max uint64
}

func newChaos(seed, max uint64) *chaos {
	return &chaos{rnd: rand.New(rand.NewPCG(seed, 0x7079727263686173)), max: max}
}

func (c *chaos) pick(n int) int { return c.rnd.IntN(n) }

func (c *chaos) slice() uint64 {
	switch p := c.rnd.IntN(100); {
	case p < 10:
		return 1 + c.rnd.Uint64N(20)
	case p < 30:
		return 1 + c.rnd.Uint64N(1000)
	default:
		return 1 + c.rnd.Uint64N(min(c.max, 50_000))
	}
}
