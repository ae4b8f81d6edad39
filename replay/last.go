package replay

import "pyrr/internal/recording"

// Bounds of OnLast, in bytecode instructions.
const (
	LastSteps = 1000
	LastAfter = 4_000_000
)

// lastSteps lets a thread run to a stretch before the event, and through that
// instruction by instruction. It says whether the event came.
func (p *Process) lastSteps(t *Thread, ev *recording.Event) (arrived bool, err error) {
	from := p.counted
	for limit := ev.Instr - LastSteps; ; {
		h, err := p.leg(t, ev, limit, false)
		if err != nil {
			return false, err
		}
		switch h {
		case haltCount:
			p.s.o.OnLast(p, t, from, limit, ev.Instr)
			limit++
		case haltEvent:
			p.s.o.OnLast(p, t, from, ev.Instr, ev.Instr)
			return true, nil
		default:
			if err := p.tell(t, ev); err != nil {
				return false, err
			}
		}
	}
}
