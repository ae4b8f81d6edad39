package cpython

import "errors"

// EachTracked calls f for the objects of the main interpreter that the garbage
// collector knows, with the names of their classes, until f returns false. A
// free-threaded build has no lists of them.
//
// Of memory whose reading is noted, to keep what was read, the lists and the classes are
// noted, and not which class an object is of: an object with its class but without its
// contents would be one that is empty. Whoever wants later readers to find an object
// looks at it by another method.
func (i *Inspector) EachTracked(f func(obj uint64, class string) bool) {
	interp, modules, err := i.r.mainInterpreter(i.v)
	if err != nil || modules == 0 || i.r.l.freeThreaded {
		return
	}
	v := i.v.sparse()
	defer v.release()
	enough := errors.New("enough")
	_ = i.r.eachTracked(v, interp, modules, func(obj uint64) error {
		at, err := v.unnoted(obj + uint64(i.r.l.object.typ))
		if err != nil {
			return nil
		}
		if t, ok := i.typeAt(v, at); ok && !f(obj, t.name) {
			return enough
		}
		return nil
	})
}

// GeneratorHolds returns what a suspended generator or coroutine is inside of with
// statements of, and its frame; ok is false for any other.
func (i *Inspector) GeneratorHolds(gen uint64) (held []Held, frame Frame, ok bool) {
	addr, state, err := i.r.genFrame(i.v, gen)
	if err != nil || state != genSuspended && state != genDelegating && state != genUnsure {
		return nil, Frame{}, false
	}
	s, err := i.v.record("frame", addr, i.r.frameSize)
	if err != nil {
		return nil, Frame{}, false
	}
	w := walk{r: i.r, v: i.v, limit: 1}
	if w.frame(s, true) != nil || len(w.frames) == 0 {
		return nil, Frame{}, false
	}
	if i.r.l.rules.exceptionTable {
		return i.heldByTable(&w.frames[0]), w.frames[0], true
	}
	return i.heldByBlocks(&w.frames[0]), w.frames[0], true
}
