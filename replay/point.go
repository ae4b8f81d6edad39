package replay

import (
	"slices"

	"pyrr/internal/recording"
)

// Point is a place in the execution of a process, exact to the machine
// instruction.
type Point struct {
	// Pos is the instruction count, and the number of the event that the
	// running thread is on its way to. The thread stands at the dispatch that
	// made the count or, where there was none since the event before, right
	// behind that.
	recording.Pos
	// At says that it has come to the event, which has not taken effect.
	At bool

	path []move // from there on, within native code
}

// move goes on by machine code: to the n-th time that the thread comes to an
// address, or touches watched memory, or by n single steps.
type move struct {
	pc    uint64
	watch watched
	n     int
}

func (m move) steps() bool { return m.pc == 0 && m.watch[0].Len == 0 }

// compare orders points; of two in the same native code it says 0.
func (pt Point) compare(o Point) int {
	switch {
	case pt.Event != o.Event:
		if pt.Event < o.Event {
			return -1
		}
		return 1
	case pt.Instr != o.Instr:
		if pt.Instr < o.Instr {
			return -1
		}
		return 1
	case pt.At != o.At:
		if o.At {
			return -1
		}
		return 1
	case len(pt.path) == 0 && len(o.path) > 0:
		return -1
	case len(pt.path) > 0 && len(o.path) == 0:
		return 1
	}
	return 0
}

// Same says whether two points are one.
func (pt Point) Same(o Point) bool {
	return pt.Pos == o.Pos && pt.At == o.At && slices.Equal(pt.path, o.path)
}
