package replay

import (
	"encoding/binary"

	"pyrr/internal/inject"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// countPauses takes up the count of pauses, in the cell at an address. What it
// holds is what the recorder last set.
func (p *Process) countPauses(cell uint64) {
	p.pauseCell = cell
	p.setPauses(inject.PauseNone)
	p.pauseMark = inject.PauseNone
}

func (p *Process) setPauses(n uint64) {
	p.pauseNow = n
	p.pending = append(p.pending, ptrace.Span{Addr: p.pauseCell, Data: binary.LittleEndian.AppendUint64(nil, n)})
}

// armPauses sets how many pauses a thread may pass on its way to an event.
func (p *Process) armPauses(ev *recording.Event) error {
	if p.pauseCell == 0 || p.primed {
		if ev.Stop == recording.StopPause && p.pauseCell == 0 {
			return p.damaged("a count of pauses, which are not counted")
		}
		return nil
	}
	passed := p.pauseMark - p.pauseNow
	want := uint64(inject.PauseNone)
	switch {
	case ev.Stop == recording.StopPause:
		if ev.Pauses <= passed || ev.Pauses > inject.PauseNone {
			return p.damaged("%d pauses after %d", ev.Pauses, passed)
		}
		want = ev.Pauses - passed
	case p.pauseNow > inject.PauseNone/2 && p.pauseNow <= inject.PauseNone:
		return nil
	}
	p.setPauses(want)
	p.pauseMark = want + passed
	return nil
}

// markPauses counts from an event on that a thread came to by running.
func (p *Process) markPauses(ev *recording.Event) {
	if ev.Stop != recording.StopNone && ev.Stop != recording.StopBuffered {
		p.pauseMark = p.pauseNow
	}
}
