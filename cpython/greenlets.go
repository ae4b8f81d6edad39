package cpython

import (
	"fmt"

	"pyrr/internal/mem"
)

// Greenlet is a greenlet that has begun and is not finished, of the package
// greenlet, on which gevent and eventlet are built.
type Greenlet struct {
	Addr uint64
	// Type is the name of its class: greenlet, Hub, Greenlet.
	Type string
	// Frames are those that it is suspended in, innermost first.
	Frames []Frame
}

// maxGreenlets bounds the greenlets of a process, maxTracked the objects of
// the garbage collector among which they are looked for.
const (
	maxGreenlets = 1 << 16
	maxTracked   = 1 << 22
	// gcBudget is what of a view's budget that may cost.
	gcBudget = 1 << 30
)

// Greenlets lists the suspended greenlets of the main interpreter. It is empty
// as long as greenlet has not been imported. They are found in the lists of
// the garbage collector, which a free-threaded build does not have. With an
// error come those found before it.
func (r *Runtime) Greenlets(m mem.Reader) ([]Greenlet, error) {
	v := newView(m)
	defer v.release()
	v.left = gcBudget
	interp, modules, err := r.mainInterpreter(v)
	if err != nil || modules == 0 || r.l.freeThreaded {
		return nil, err
	}
	dict, err := r.moduleDict(v, modules, "greenlet._greenlet")
	if err != nil || dict == 0 {
		return nil, err
	}
	class, err := r.lookup(v, dict, "greenlet")
	if err != nil || class == 0 {
		return nil, err
	}
	all := v.sparse()
	defer all.release()
	g := greenletReader{r: r, v: v, all: all, class: class, types: map[uint64]string{}}
	err = r.eachTracked(all, interp, modules, func(obj uint64) error { return g.object(obj) })
	return g.found, err
}

// mainInterpreter returns the main interpreter and its sys.modules, 0 for none.
func (r *Runtime) mainInterpreter(v *view) (interp, modules uint64, err error) {
	interp, err = v.u64(r.Addr + uint64(r.l.runtime.interpHead))
	for n := 0; err == nil && interp != 0; n++ {
		next, err := v.u64(interp + uint64(r.l.interp.next))
		if err != nil {
			return 0, 0, err
		}
		if next == 0 || n > maxInterpreters {
			break // the main one is the first that was made
		}
		interp = next
	}
	if err != nil || interp == 0 {
		return 0, 0, err
	}
	modules, err = v.u64(interp + uint64(r.l.interp.modules))
	return interp, modules, err
}

type greenletReader struct {
	r     *Runtime
	v     *view
	all   *view             // by which all objects are looked at
	class uint64            // the type object
	types map[uint64]string // names of types that are greenlets, "" for others
	found []Greenlet
}

func (g *greenletReader) object(obj uint64) error {
	typ, err := g.all.unnoted(obj + uint64(g.r.l.object.typ)) // see EachTracked
	if err != nil {
		return nil // nor does a recording hold it that was cut to what was read
	}
	name, known := g.types[typ]
	if !known {
		name = g.isGreenlet(typ)
		g.types[typ] = name
	}
	if name == "" {
		return nil
	}
	if len(g.found) >= maxGreenlets {
		return fmt.Errorf("more than %d greenlets", maxGreenlets)
	}
	frame, err := g.topFrame(obj)
	if err != nil || frame == 0 {
		return err
	}
	w := walk{r: g.r, v: g.v, limit: defaultLimit}
	err = w.run(frame)
	if n := len(w.frames); err != nil && n > 0 {
		// Before greenlet 3.0, shims lie in the part of the C stack that was
		// saved when it was switched from.
		w.frames[n-1].Err = err.Error()
	}
	if len(w.frames) > 0 {
		g.found = append(g.found, Greenlet{Addr: obj, Type: name, Frames: w.frames})
	}
	return nil
}

// isGreenlet returns the name of a type that is derived from greenlet.
func (g *greenletReader) isGreenlet(typ uint64) string {
	t, err := g.r.typeInfo(g.v, typ)
	name := t.name
	for range 32 {
		if err != nil {
			return ""
		}
		if t.addr == g.class {
			return name
		}
		if t.base == 0 {
			return ""
		}
		t, err = g.r.typeInfo(g.v, t.base)
	}
	return ""
}

// topFrame returns the frame that a greenlet is suspended in, 0 for none.
// PyGreenlet is: PyObject_HEAD, weakreflist, dict, pimpl (greenlet.h); what
// pimpl points to has, at a place that depends on the version, a
// PyFrameObject*, the only pointer to a frame there (_top_frame of class
// PythonState, TGreenlet.hpp).
func (g *greenletReader) topFrame(obj uint64) (uint64, error) {
	l := g.r.l
	pimpl, err := g.v.u64(obj + uint64(l.object.typ) + 8 + 16)
	if err != nil || pimpl == 0 {
		return 0, nil
	}
	const words = 32
	s, err := g.v.record("greenlet", pimpl, 8*words)
	if err != nil {
		return 0, nil
	}
	for i := range words {
		p := s.u64(8 * i)
		if p == 0 || p%8 != 0 || p < 1<<16 || p>>47 != 0 {
			continue
		}
		if name, err := g.r.typeName(g.v, p); err != nil || name != "frame" {
			continue
		}
		frame := p
		if l.rules.interpreterFrames {
			// PyFrameObject.f_frame follows PyObject_HEAD and f_back.
			if frame, err = g.v.u64(p + uint64(l.object.typ) + 16); err != nil {
				continue
			}
		}
		// A stack address among the words may lead to what looks like a frame.
		f, err := g.v.record("frame", frame, g.r.frameSize)
		if err != nil {
			continue
		}
		code := f.u64(l.frame.code)
		if l.rules.stackrefs {
			code &^= stackrefTags
		}
		if name, err := g.r.typeName(g.v, code); err == nil && name == "code" {
			return frame, nil
		}
	}
	return 0, nil
}

// eachTracked calls f for each object that the garbage collector of an
// interpreter tracks. Each has a PyGC_Head before it (next and previous, with
// flags in the low bits; cpython/objimpl.h), in one of the cyclic lists of
// the generations, the heads of which lie side by side in an array of struct
// gc_generation (head, threshold, count; pycore_gc.h). known is an object that
// has lived long; walking its list comes by the head.
func (r *Runtime) eachTracked(v *view, interp, known uint64, f func(obj uint64) error) error {
	const (
		headSize   = 16
		generation = 24
		flags      = 3
	)
	// Where the heads are: in the interpreter from 3.9 on, before in _PyRuntime.
	lo, hi := interp, interp+uint64(r.l.interp.structSize)
	if r.l.rules.gcInRuntime {
		lo, hi = r.Addr, r.Addr+uint64(r.l.interp.structSize)
	}
	visited := 0
	list := func(head, from uint64, f func(obj uint64) error) (heads []uint64, err error) {
		node := from
		for {
			if visited++; visited > maxTracked {
				return heads, fmt.Errorf("more than %d objects", maxTracked)
			}
			if node == head {
				return heads, nil
			}
			if head == 0 && node >= lo && node < hi {
				heads = append(heads, node)
			}
			if f != nil && (node < lo || node >= hi) {
				if err := f(node + headSize); err != nil {
					return heads, err
				}
			}
			next, err := v.u64(node)
			if err != nil {
				return heads, fmt.Errorf("list of the garbage collector: %w", err)
			}
			if node = next &^ flags; node == from {
				return heads, nil
			}
		}
	}
	heads, err := list(0, known-headSize, nil)
	if err != nil || len(heads) == 0 {
		return err
	}
	// The others are its neighbours in the array: three generations, and the
	// permanent one behind them.
	for k := -3; k <= 3; k++ {
		head := heads[0] + uint64(k*generation)
		next, err1 := v.u64(head)
		prev, err2 := v.u64(head + 8)
		if err1 != nil || err2 != nil || next&^flags == head || next == 0 || prev == 0 {
			continue
		}
		back, err := v.u64(next&^flags + 8)
		if err != nil || back&^flags != head {
			continue
		}
		if fwd, err := v.u64(prev &^ flags); err != nil || fwd&^flags != head {
			continue
		}
		if _, err := list(head, next&^flags, f); err != nil {
			return err
		}
	}
	return nil
}
