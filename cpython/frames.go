package cpython

import (
	"encoding/binary"
	"fmt"

	"pyrr/internal/mem"
	"pyrr/internal/stack"
)

// defaultLimit is the number of frames read when Options has none.
const defaultLimit = 1000

// Options says how to read a stack.
type Options struct {
	// Limit is the most frames to return; 0 means 1000. What was cut off is
	// said in the last frame's Err.
	Limit int
	// NextInstr, when not 0, is the address of the instruction that the
	// thread is about to run, as the interpreter's register has it at a
	// dispatch stop. From 3.11 on memory still has the one before. It counts
	// for the thread's innermost frame alone, and up to 3.10, where memory is
	// exact, not at all.
	NextInstr uint64
}

// Frame is one Python frame together with where it lies in memory.
type Frame struct {
	stack.Frame
	// Addr is the PyFrameObject, or the _PyInterpreterFrame from 3.11 on.
	Addr uint64
	// Code is the code object.
	Code uint64
	// Instr is the byte offset of the current instruction in the bytecode,
	// -1 when the frame has not started.
	Instr int
	// Entry is set on the outermost frame of each C call of the eval loop
	// from 3.11 on: an address within that C call's own stack frame (its
	// _PyCFrame in 3.11, its shim frame later).
	Entry uint64
}

// Values of _PyInterpreterFrame.owner (enum _frameowner, pycore_frame.h;
// pycore_interpframe_structs.h from 3.14): from ownedByCStack on the frame is
// the interpreter's own and has no Python code.
const (
	ownedByGenerator = 1
	ownedByCStack    = 3
)

// stackrefTags are the bits of a _PyStackRef that are not the pointer
// (pycore_stackref.h of 3.14). Before, frames hold plain pointers, which are
// aligned.
const stackrefTags = 3

// Stack returns the Python frames of a thread, innermost first. A walk that
// cannot go on ends with a frame whose Err says why; the error is for when
// not even the first frame could be read, or Options.NextInstr is not an
// instruction of the innermost frame (the stack is then that of memory).
func (r *Runtime) Stack(m mem.Reader, t Thread, o Options) (stack.Stack, error) {
	s := stack.Stack{Thread: t.NativeID, Name: t.Name}
	frames, err := r.Frames(m, t, o)
	s.Frames = make([]stack.Frame, len(frames))
	for i := range frames {
		s.Frames[i] = frames[i].Frame
	}
	return s, err
}

// Frames is Stack with each frame's place in memory.
func (r *Runtime) Frames(m mem.Reader, t Thread, o Options) ([]Frame, error) {
	v := newView(m)
	defer v.release()
	w := walk{r: r, v: v, limit: o.Limit, next: o.NextInstr}
	v.prefetch(r.hint(t.Addr))
	defer func() { r.setHint(t.Addr, v.usedPages()) }()
	if w.limit <= 0 {
		w.limit = defaultLimit
	}
	addr, err := w.top(t.Addr)
	if err != nil {
		return nil, fmt.Errorf("thread state at %#x: %w", t.Addr, err)
	}
	err = w.run(addr)
	if err != nil && len(w.frames) > 0 {
		w.frames[len(w.frames)-1].Err = err.Error()
		err = nil
	}
	if err == nil {
		err = w.nextErr
	}
	return w.frames, err
}

// walk is one pass over a thread's frames.
type walk struct {
	r       *Runtime
	v       *view
	limit   int
	next    uint64
	nextErr error
	cframe  uint64 // 3.11: the _PyCFrame of the current eval loop
	frames  []Frame

	// Of a Tracker (track): the steps of the last walk and of this one, whether code
	// is known to be what it was, and how many frames were taken over.
	last, steps []step
	track, sure bool
	same        int
	check       []codeCheck
	distrust    bool // code objects are compared in full
}

// top returns the address of a thread's innermost frame, 0 for none.
func (w *walk) top(tstate uint64) (uint64, error) {
	l := w.r.l
	if l.thread.frame != no {
		return w.v.u64(tstate + uint64(l.thread.frame))
	}
	cframe, err := w.v.u64(tstate + uint64(l.thread.cframe))
	if err != nil {
		return 0, err
	}
	if w.cframe = cframe; cframe == 0 {
		return 0, nil // a thread state that is being made, or has ended
	}
	addr, err := w.v.u64(cframe + uint64(l.cframe.currentFrame))
	if err != nil {
		return 0, fmt.Errorf("_PyCFrame: %w", err)
	}
	return addr, nil
}

func (w *walk) run(addr uint64) error {
	l := w.r.l
	seen := w.v.seen
	clear(seen)
	for first := true; addr != 0; first = false {
		if len(w.frames) >= w.limit {
			return fmt.Errorf("more than %d frames", w.limit)
		}
		if _, again := seen[addr]; again {
			return fmt.Errorf("the frame at %#x comes twice", addr)
		}
		// Frames that are skipped count too, or they could make the walk long.
		if seen[addr] = struct{}{}; len(seen) > 4*w.limit+16 {
			return fmt.Errorf("more than %d frames and shims", len(seen)-1)
		}
		s, err := w.v.record("frame", addr, w.r.frameSize)
		if err != nil {
			return err
		}
		if len(w.last) > 0 && !(first && w.next != 0) && w.reuse(s, first) {
			return nil
		}
		if l.frame.owner != no && s.u8(l.frame.owner) >= ownedByCStack {
			if n := len(w.frames); n > 0 && w.frames[n-1].Entry == 0 {
				w.frames[n-1].Entry = addr
			}
			w.note(s, addr, nil)
		} else if err := w.frame(s, first); err != nil {
			return fmt.Errorf("frame at %#x: %w", addr, err)
		}
		addr = s.u64(l.frame.previous)
	}
	return nil
}

// frame appends the frame s unless Python itself would not show it.
func (w *walk) frame(s record, first bool) error {
	l := w.r.l
	f := Frame{Addr: s.addr, Code: s.u64(l.frame.code)}
	if l.rules.stackrefs {
		f.Code &^= stackrefTags
	}
	co := w.trusted(f.Code)
	var cs record
	if co == nil {
		w.v.aside = w.track
		var err error
		co, cs, err = w.r.code(w.v, f.Code)
		w.v.aside = false
		if err != nil {
			return err
		}
	}
	entry := uint64(0)
	if l.frame.isEntry != no && s.u8(l.frame.isEntry) != 0 {
		entry = w.cframe
		// Unreadable or wrong, it only costs the later frames their Entry.
		w.cframe, _ = w.v.u64(w.cframe + uint64(l.cframe.previous))
	}
	if l.rules.interpreterFrames {
		base, err := w.bytecode(s, cs, f.Code)
		if err != nil {
			return err
		}
		ip := s.u64(l.frame.ip)
		if first && w.next != 0 {
			if off := w.next - base; off < uint64(co.key.units)*2 {
				ip = w.next
			} else {
				w.nextErr = fmt.Errorf("next instruction %#x is outside the innermost frame's code (%#x+%d)", w.next, base, co.key.units*2)
			}
		}
		if hidden(s.u8(l.frame.owner), ip, base+uint64(co.traceable)*2, co, first) {
			if n := len(w.frames); entry != 0 && n > 0 && w.frames[n-1].Entry == 0 {
				w.frames[n-1].Entry = entry
			}
			w.note(s, entry, nil)
			return nil
		}
		f.Instr = max(int(int64(ip-base)), -1)
	} else {
		f.Instr = s.i32(l.frame.ip)
		if f.Instr > 0 {
			f.Instr *= l.rules.jumpUnit
		}
	}
	f.Entry = entry
	p := lookup(co.positions, f.Instr, co.key.firstLine)
	f.Frame = stack.Frame{
		Kind: stack.Python, Func: co.nameText, File: co.fileText,
		Line: int(p.line), EndLine: int(p.endLine), Col: int(p.col), EndCol: int(p.endCol),
	}
	w.frames = append(w.frames, f)
	w.note(s, entry, co)
	return nil
}

// hidden tells a frame that sys._getframe leaves out: one that has not come
// to its first traceable instruction (_PyFrame_IsIncomplete, pycore_frame.h),
// such as one whose argument cells are being made, and the interpreter's
// trampoline around __init__ (_Py_InitCleanup, specialize.c of 3.12; its file
// name and its name are the same object). The innermost frame is shown as soon
// as it exists, since it is what the thread runs.
func hidden(owner uint8, ip, traceable uint64, co *code, first bool) bool {
	if co.key.filename == co.key.name {
		return true
	}
	return !first && owner != ownedByGenerator && ip < traceable
}

// bytecode returns the address of a frame's instructions: behind the code
// object, or with thread-local bytecode (free-threaded 3.14) in the array of
// copies at co_tlbc.
func (w *walk) bytecode(frame, code record, addr uint64) (uint64, error) {
	l := w.r.l
	main := addr + uint64(l.code.bytecode)
	if l.code.tlbc == no || l.frame.tlbcIndex == no {
		return main, nil
	}
	index := frame.i32(l.frame.tlbcIndex)
	array := code.u64(l.code.tlbc)
	if index <= 0 || array == 0 {
		return main, nil
	}
	b, err := w.v.bytes(array, 8)
	if err != nil {
		return 0, fmt.Errorf("co_tlbc: %w", err)
	}
	if n := binary.LittleEndian.Uint64(b); uint64(index) >= n {
		return 0, fmt.Errorf("tlbc_index is %d of %d", index, n)
	}
	entry, err := w.v.u64(array + 8 + 8*uint64(index))
	if err != nil {
		return 0, fmt.Errorf("co_tlbc: %w", err)
	}
	return entry, nil
}
