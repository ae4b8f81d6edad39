package cpython

import (
	"errors"
	"fmt"
	"slices"
)

// genKind is what a generator-like object is, by its type's name.
type genKind uint8

const (
	notGen   genKind = iota
	isGen            // generator, coroutine, async_generator: has a frame
	isHolder         // an awaitable that refers to one right behind its header
)

var genKinds = map[string]genKind{
	"generator": isGen, "coroutine": isGen, "async_generator": isGen,
	// PyAsyncGenASend.ags_gen, PyAsyncGenAThrow.agt_gen, PyCoroWrapper.cw_coroutine
	// (Objects/genobject.c), anextawaitableobject.wrapped (Objects/iterobject.c)
	"async_generator_asend": isHolder, "async_generator_athrow": isHolder,
	"coroutine_wrapper": isHolder, "anext_awaitable": isHolder,
}

// genState says where a generator or coroutine is.
type genState uint8

const (
	genCreated genState = iota
	genSuspended
	genDelegating // suspended, and waits for another: yield from, await
	genExecuting
	genDone
	genUnsure // suspended, and the next instruction tells whether it delegates
)

// Values of enum _framestate (pycore_frame.h); what is missing is a generator
// that is done.
var (
	genStates11 = map[int8]genState{-2: genCreated, -1: genUnsure, 0: genExecuting}
	genStates13 = map[int8]genState{-3: genCreated, -2: genSuspended, -1: genDelegating, 0: genExecuting}
)

// maxAwaits bounds a chain of awaits.
const maxAwaits = 1000

// genFrame returns the frame of a generator or coroutine and its state.
func (r *Runtime) genFrame(v *view, gen uint64) (frame uint64, state genState, err error) {
	l := r.l
	if l.gen.frame == no {
		s, err := v.record("generator", gen, max(l.gen.state, l.gen.iframe)+1)
		if err != nil {
			return 0, genDone, err
		}
		frame = gen + uint64(l.gen.iframe)
		// FRAME_CREATED and so on: enum _framestate, pycore_frame.h.
		state, known := l.rules.genStates[int8(s.u8(l.gen.state))]
		switch {
		case !known:
			return 0, genDone, nil
		case state != genUnsure:
			return frame, state, nil
		}
		yes, err := r.yieldsFrom(v, frame)
		if err != nil || !yes {
			return frame, genSuspended, err
		}
		return frame, genDelegating, nil
	}
	s, err := v.record("generator", gen, l.gen.frame+16)
	if err != nil {
		return 0, genDone, err
	}
	if frame = s.u64(l.gen.frame); frame == 0 {
		return 0, genDone, nil
	}
	f, err := v.record("frame", frame, r.frameSize)
	if err != nil {
		return 0, genDone, err
	}
	running := s.u8(l.gen.frame+8) != 0 // gi_running
	if l.frame.state != no {
		state, err := v.bytes(frame+uint64(l.frame.state), 1)
		if err != nil {
			return 0, genDone, err
		}
		running = state[0] == 0 // FRAME_EXECUTING
	}
	switch {
	case running:
		return frame, genExecuting, nil
	case f.i32(l.frame.ip) < 0:
		return frame, genCreated, nil
	}
	yes, err := r.yieldsFrom(v, frame)
	if err != nil || !yes {
		return frame, genSuspended, err
	}
	return frame, genDelegating, nil
}

// yieldsFrom tells whether a suspended frame waits in yield from or await
// (_PyGen_yf, Objects/genobject.c): up to 3.10 the next instruction is
// YIELD_FROM, in 3.11 and 3.12 it is a RESUME that says so.
func (r *Runtime) yieldsFrom(v *view, frame uint64) (bool, error) {
	const yieldFrom = 72
	l := r.l
	s, err := v.record("frame", frame, r.frameSize)
	if err != nil {
		return false, err
	}
	if l.rules.interpreterFrames {
		b, err := v.bytes(s.u64(l.frame.ip)+2, 2)
		return err == nil && l.rules.delegates(b[1]), err
	}
	last := s.i32(l.frame.ip) * l.rules.jumpUnit
	code, err := v.u64(s.u64(l.frame.code) + uint64(l.code.code))
	if err != nil {
		return false, err
	}
	b, err := v.bytes(code+uint64(l.bytes.value)+uint64(last)+2, 1)
	return err == nil && b[0] == yieldFrom, err
}

// awaited returns what a suspended frame that delegates waits for: the top of
// its stack.
func (r *Runtime) awaited(v *view, frame uint64) (uint64, error) {
	l := r.l
	s, err := v.record("frame", frame, max(r.frameSize, l.frame.stackpointer+8, l.frame.stacktop+8, l.frame.stackdepth+8, l.frame.valuestack+8))
	if err != nil {
		return 0, err
	}
	var end uint64
	switch {
	case l.frame.stackpointer != no:
		end = s.u64(l.frame.stackpointer)
	case l.frame.stackdepth != no:
		end = s.u64(l.frame.valuestack) + 8*uint64(uint32(s.i32(l.frame.stackdepth)))
	case !l.rules.interpreterFrames:
		end = s.u64(l.frame.stacktop)
	default:
		end = frame + uint64(l.frame.localsplus) + 8*uint64(uint32(s.i32(l.frame.stacktop)))
	}
	back := 8 * uint64(1+l.rules.delegateTop)
	if end < back {
		return 0, errors.New("the frame's stack is empty")
	}
	p, err := v.u64(end - back)
	if l.rules.stackrefs {
		p &^= stackrefTags
	}
	return p, err
}

// chain walks what a generator or coroutine is suspended in. It returns the
// frames, innermost first, and the object that the last one waits for, 0 for
// none. running is the frame of the last one when that is executing: what it
// has called is on a thread's stack.
func (r *Runtime) chain(v *view, gen uint64) (frames []Frame, awaits, running uint64, err error) {
	w := walk{r: r, v: v, limit: maxAwaits}
	defer func() {
		slices.Reverse(w.frames)
		frames = w.frames
	}()
	for range maxAwaits {
		typ, err := r.typeName(v, gen)
		if err != nil {
			return nil, 0, 0, err
		}
		switch genKinds[typ] {
		case isHolder:
			if gen, err = v.u64(gen + uint64(r.l.object.typ) + 8); err != nil {
				return nil, 0, 0, err
			}
			continue
		case notGen:
			return nil, gen, 0, nil
		}
		frame, state, err := r.genFrame(v, gen)
		if err != nil || state == genDone {
			return nil, 0, 0, err
		}
		if state == genExecuting {
			return nil, 0, frame, nil
		}
		s, err := v.record("frame", frame, r.frameSize)
		if err == nil {
			err = w.frame(s, true)
		}
		if err != nil {
			return nil, 0, 0, fmt.Errorf("frame at %#x: %w", frame, err)
		}
		if state != genDelegating {
			return nil, 0, 0, nil
		}
		if gen, err = r.awaited(v, frame); err != nil || gen == 0 {
			return nil, 0, 0, err
		}
	}
	return nil, 0, 0, fmt.Errorf("more than %d coroutines wait for each other", maxAwaits)
}
