package replay

import (
	"fmt"
	"slices"

	"pyrr/internal/inject"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// layouts are those of the XSAVE areas in the recording and of this machine.
type layouts struct {
	known      bool
	recorded   inject.XSaveLayout
	size       int    // of a recorded area
	shown      uint64 // the components that the program was shown, as XCR0 has them
	own        inject.XSaveLayout
	ownExample []byte
	same       bool
}

// learn reads the layouts; tid is a stopped thread, any.
func (s *session) learn(tid int) (*layouts, error) {
	l := &s.layouts
	if l.known {
		return l, nil
	}
	example, err := ptrace.GetXState(tid, make([]byte, 1<<14))
	if err != nil {
		return nil, fmt.Errorf("read the extended registers: %w", err)
	}
	h := s.rec.Header().Host
	if l.recorded, err = layoutOf(&h); err != nil {
		return nil, err
	}
	cpu := inject.Host()
	l.size, l.shown, l.own, l.ownExample = h.XSaveSize, h.XCR0, cpu.XSave(), example
	l.same = h.XSaveSize == len(example) && slices.Equal(l.recorded, l.own)
	l.known = true
	return l, nil
}

func layoutOf(h *recording.Host) (inject.XSaveLayout, error) {
	var l inject.XSaveLayout
	for _, c := range h.XSave {
		l = append(l, inject.XSaveComponent{Number: c[0], Offset: c[1], Size: c[2]})
	}
	if err := l.Check(); err != nil {
		return nil, fmt.Errorf("the recording's header has %w", err)
	}
	return inject.XSaveOf(l, h.XSaveSize), nil
}

// setXState gives a thread recorded extended registers, in this machine's
// layout.
func (s *session) setXState(tid int, area []byte) error {
	if len(area) == 0 {
		return nil
	}
	l, err := s.learn(tid)
	if err != nil {
		return err
	}
	if !l.same || len(area) != l.size {
		if area, err = l.recorded.Convert(area, l.ownExample, l.own, l.shown); err != nil {
			return err
		}
	}
	return ptrace.SetXState(tid, area)
}

// recordedXState reads a thread's extended registers as the recording would
// hold them.
func (s *session) recordedXState(tid int) ([]byte, error) {
	l, err := s.learn(tid)
	if err != nil {
		return nil, err
	}
	area, err := ptrace.GetXState(tid, make([]byte, 1<<14))
	if err != nil || l.same {
		return area, err
	}
	return l.own.Convert(area, make([]byte, min(max(l.size, len(l.ownExample)), 1<<14)), l.recorded, l.shown)
}
