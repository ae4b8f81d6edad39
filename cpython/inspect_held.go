package cpython

import (
	"encoding/binary"
)

// Held is a context manager whose with statement a frame is inside of.
type Held struct {
	// Obj is the context manager: the lock of "with lock:".
	Obj uint64
	// Line is that of the with statement, 0 where it can't be told.
	Line int
}

// maxHeld bounds the with statements of a frame.
const maxHeld = 64

// Held returns the context managers that a frame is inside of, innermost first.
// The evaluation stack has what __exit__ is called on; where on it says the
// exception table from 3.11 on, the stack of blocks before. A generator of
// contextlib.contextmanager counts with what it holds itself.
func (i *Inspector) Held(f *Frame) []Held {
	var out []Held
	var found []Held
	if i.r.l.rules.exceptionTable {
		found = i.heldByTable(f)
	} else {
		found = i.heldByBlocks(f)
	}
	for _, h := range found {
		if len(out) >= maxHeld {
			break
		}
		out = append(out, h)
		if gen := i.Attr(h.Obj, "gen"); gen != 0 && genKinds[i.Type(gen)] == isGen {
			for _, g := range i.heldByGenerator(gen) {
				out = append(out, Held{g.Obj, h.Line})
			}
		}
	}
	return out
}

// heldByGenerator is Held of a suspended generator.
func (i *Inspector) heldByGenerator(gen uint64) []Held {
	held, _, _ := i.GeneratorHolds(gen)
	return held
}

// handler is a row of co_exceptiontable, in bytes of the code: exceptions from
// start to end go to target, with depth objects left on the stack.
type handler struct {
	start, end, target, depth int
}

// handlers decodes co_exceptiontable (Objects/exception_handling_notes.txt).
func handlers(table []byte) []handler {
	var out []handler
	at := 0
	number := func() int {
		n := 0
		for at < len(table) {
			b := table[at]
			at++
			n = n<<6 | int(b&0x3f)
			if b&0x40 == 0 || n > 1<<24 {
				break
			}
		}
		return n
	}
	for at < len(table) && len(out) < 1<<16 {
		start, length := number(), number()
		target, depth := number(), number()
		out = append(out, handler{2 * start, 2 * (start + length), 2 * target, depth >> 1})
	}
	return out
}

func (i *Inspector) heldByTable(f *Frame) []Held {
	l := i.r.l
	code, _, err := i.r.codeRecord(i.v, f.Code)
	if err != nil {
		return nil
	}
	table, err := i.r.rawBytes(i.v, code.u64(l.code.exceptionTable), maxLineTable)
	if err != nil || len(table) == 0 {
		return nil
	}
	rows := handlers(table)
	base := f.Addr + uint64(l.frame.localsplus) + 8*uint64(uint32(code.i32(l.code.nlocalsplus)))
	var out []Held
	at, depth := max(f.Instr, 0), 1<<16
	for range maxHeld {
		var in *handler
		for k := range rows {
			if h := &rows[k]; at >= h.start && at < h.end {
				in = h
				break
			}
		}
		if in == nil {
			break
		}
		// A handler's own handlers want more on the stack than there is now.
		if in.depth <= depth && in.depth > 0 {
			if obj := i.exited(base, in.depth); obj != 0 && in.depth < depth {
				out = append(out, Held{obj, i.lineBefore(f, rows, in)})
			}
			depth = in.depth
		} else if in.depth == 0 {
			depth = 0
		}
		at = in.target
	}
	return out
}

// exited returns the object whose __exit__ lies on top of depth objects of an
// evaluation stack: bound, or from 3.14 on as a function and the object.
func (i *Inspector) exited(base uint64, depth int) uint64 {
	top, err := i.v.u64(base + 8*uint64(depth-1))
	if err != nil {
		return 0
	}
	if i.r.l.rules.unboundExit {
		top &^= stackrefTags
		if depth >= 2 {
			below, err := i.v.u64(base + 8*uint64(depth-2))
			if below &^= stackrefTags; err == nil && i.isExit(below) {
				if top == 0 {
					return i.boundExit(below)
				}
				return top
			}
		}
	}
	return i.boundExit(top)
}

// isExit tells a function that is __exit__ or __aexit__.
func (i *Inspector) isExit(obj uint64) bool {
	name := ""
	switch i.Type(obj) {
	case "function":
		name = afterLastDot(i.FuncName(obj))
	case "method_descriptor", "builtin_function_or_method", "cython_function_or_method": // Cython's begins as a PyCFunctionObject
		// PyDescrObject.d_name, PyCFunctionObject.m_ml.ml_name
		at := uint64(i.r.l.object.typ) + 8
		if i.Type(obj) == "method_descriptor" {
			s, err := i.v.u64(obj + at + 8)
			if err != nil {
				return false
			}
			name = i.Str(s)
			break
		}
		ml, err := i.v.u64(obj + at)
		if err != nil {
			return false
		}
		p, err := i.v.u64(ml)
		if err != nil {
			return false
		}
		name, _ = i.v.cstring(p, 64)
	case "method":
		return i.boundExit(obj) != 0
	}
	return name == "__exit__" || name == "__aexit__"
}

// boundExit returns the object that an __exit__ is bound to, 0 for anything
// else. PyMethodObject has im_func, im_self; PyCFunctionObject m_ml, m_self.
func (i *Inspector) boundExit(obj uint64) uint64 {
	at := uint64(i.r.l.object.typ) + 8
	switch i.Type(obj) {
	case "method":
		fn, err := i.v.u64(obj + at)
		if err != nil {
			return 0
		}
		if name := afterLastDot(i.FuncName(fn)); name != "__exit__" && name != "__aexit__" && (i.Type(fn) != "cython_function_or_method" || !i.isExit(fn)) {
			return 0
		}
	case "builtin_function_or_method":
		if !i.isExit(obj) {
			return 0
		}
	default:
		return 0
	}
	self, _ := i.v.u64(obj + at + 8)
	return self
}

// lineBefore is the line of the instruction before what a handler covers: the
// with statement, if that is what the handler is of.
func (i *Inspector) lineBefore(f *Frame, rows []handler, in *handler) int {
	first := in.start
	for _, h := range rows {
		if h.target == in.target && h.depth == in.depth {
			first = min(first, h.start)
		}
	}
	return i.lineAt(f, max(first-2, 0))
}

func (i *Inspector) lineAt(f *Frame, instr int) int {
	co, _, err := i.r.code(i.v, f.Code)
	if err != nil {
		return 0
	}
	return int(lookup(co.positions, instr, co.key.firstLine).line)
}

// heldByBlocks is Held up to 3.10: f_blockstack has a block for each with and
// try (PyTryBlock: b_type, b_handler, b_level), and SETUP_WITH leaves __exit__
// below the level of its own.
func (i *Inspector) heldByBlocks(f *Frame) []Held {
	const (
		setupWith   = 143
		setupAsync  = 154
		setupFinal  = 122
		extendedArg = 144
		most        = 20 // CO_MAXBLOCKS
	)
	l := i.r.l
	s, err := i.v.record("frame", f.Addr, l.frame.localsplus)
	if err != nil {
		return nil
	}
	n := s.i32(l.frame.iblock)
	if n < 0 || n > most {
		return nil
	}
	var code []byte
	if addr, err := i.v.u64(f.Code + uint64(l.code.code)); err == nil {
		code, _ = i.r.rawBytes(i.v, addr, 1<<20)
	}
	scale := l.rules.jumpUnit
	// opened returns where the block with a handler begins.
	opened := func(target int) (at int, with bool) {
		arg := 0
		for k := 0; k+1 < len(code); k += 2 {
			arg = arg<<8 | int(code[k+1])
			if code[k] == extendedArg {
				continue
			}
			if (code[k] == setupWith || code[k] == setupAsync || code[k] == setupFinal) && k+2+arg*scale == target && k <= f.Instr {
				return k, code[k] != setupFinal
			}
			arg = 0
		}
		return 0, false
	}
	base := s.u64(l.frame.valuestack)
	var out []Held
	for k := n - 1; k >= 0; k-- {
		at := l.frame.blocks + 12*k
		target, level := s.i32(at+4)*scale, s.i32(at+8)
		if s.i32(at) != setupFinal || level < 1 || level > 1<<16 {
			continue
		}
		obj := i.exited(base, level)
		if obj == 0 {
			continue
		}
		instr, with := opened(target)
		if with {
			out = append(out, Held{obj, i.lineAt(f, instr)})
		}
	}
	return out
}

// Lock is the state of a threading.Lock or RLock.
type Lock struct {
	// Word is the address that a thread waits at in the kernel for the lock to
	// be released. Of a lock that is a PyMutex, it is that byte, and
	// Parked finds who waits for it.
	Word   uint64
	Locked bool
	// Owner is the ident of the thread that holds an RLock, 0 for none.
	Owner uint64
	Count int
}

// Lock reads the state of a lock (Modules/_threadmodule.c): up to 3.13 a
// pointer to a POSIX semaphore, from 3.13 or 3.14 on a PyMutex. Of a SimpleQueue it is
// what one waits at for an item.
func (i *Inspector) Lock(obj uint64) (Lock, bool) {
	name := i.Type(obj)
	head := uint64(i.r.l.object.typ) + 8
	if name == "SimpleQueue" {
		return i.simpleQueueLock(obj + head)
	}
	if name != "lock" && name != "RLock" || i.Module(obj) != "_thread" {
		return Lock{}, false // multiprocessing has an RLock too
	}
	s, err := i.v.record("lock", obj+head, 24)
	if err != nil {
		return Lock{}, false
	}
	out := Lock{}
	form := i.r.l.rules.locks
	if form == lockMutex || form != lockPointer && s.u64(0) < 1<<16 {
		out.Word, out.Locked = obj+head, s.b[0]&1 != 0
	} else {
		out.Word = s.u64(0)
		b, err := i.v.bytes(out.Word, 4)
		if err != nil {
			return Lock{}, false // a Python class of that name
		}
		out.Locked = binary.LittleEndian.Uint32(b) == 0
	}
	if name == "RLock" {
		out.Owner, out.Count = s.u64(8), int(min(s.u64(16), 1<<31))
		if form == lockMutex && out.Locked {
			out.Count++ // _PyRecursiveMutex counts from 0
		}
		if out.Count == 0 {
			out.Owner = 0
		}
	}
	return out, true
}

// simpleQueueLock is what one waits at for an item of a queue.SimpleQueue: up to 3.12 a
// pointer to a lock, later the byte has_threads_waiting (Modules/_queuemodule.c).
func (i *Inspector) simpleQueueLock(addr uint64) (Lock, bool) {
	if i.r.l.rules.queueRing {
		return Lock{Word: addr}, true
	}
	word, err := i.v.u64(addr)
	return Lock{Word: word}, err == nil
}

// Parked returns the address that a thread is parked at that waits in futex(2)
// on word: struct wait_entry of Python/parking_lot.c (3.13 and later) has
// park_arg, addr and then the semaphore.
func (i *Inspector) Parked(word uint64) uint64 {
	if !i.r.l.rules.parkingLot || word < 16 {
		return 0
	}
	addr, err := i.v.u64(word - 8)
	if err != nil {
		return 0
	}
	return addr
}

// Slots returns what lies on a frame's evaluation stack, or did: nothing tells
// how much of it is in use while the frame runs. Of bound methods it is the
// object.
func (i *Inspector) StackValues(f *Frame) []uint64 {
	l := i.r.l
	code, _, err := i.r.codeRecord(i.v, f.Code)
	if err != nil {
		return nil
	}
	var base uint64
	if l.rules.interpreterFrames {
		base = f.Addr + uint64(l.frame.localsplus) + 8*uint64(uint32(code.i32(l.code.nlocalsplus)))
	} else if base, err = i.v.u64(f.Addr + uint64(l.frame.valuestack)); err != nil {
		return nil
	}
	var out []uint64
	for k := range uint64(min(max(code.i32(l.code.stackSize), 0), 200)) {
		p, err := i.v.u64(base + 8*k)
		if err != nil {
			break
		}
		if l.rules.stackrefs {
			p &^= stackrefTags
		}
		if p == 0 || p%8 != 0 || p < 1<<16 || p>>47 != 0 {
			continue
		}
		switch i.Type(p) {
		case "builtin_function_or_method", "method":
			if self, err := i.v.u64(p + uint64(l.object.typ) + 16); err == nil && self != 0 {
				out = append(out, self)
			}
		case "":
		default:
			out = append(out, p)
		}
	}
	return out
}
