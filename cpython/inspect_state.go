package cpython

// SemLock is the state of a lock of multiprocessing
// (Modules/_multiprocessing/semaphore.c).
type SemLock struct {
	// Handle is the address of its semaphore, Name what it is called.
	Handle uint64
	Name   string
	// Count is how often this process has it, Owner the thread that took it last.
	Count int
	Owner uint64
	// Value is that of the semaphore, -1 where it can't be read.
	Value int
}

// SemLock reads a _multiprocessing.SemLock: handle, last_tid, count, maxvalue,
// kind, name.
func (i *Inspector) SemLock(obj uint64) SemLock {
	out := SemLock{Value: -1}
	if i.Type(obj) != "SemLock" {
		return out
	}
	s, err := i.v.record("SemLock", obj+uint64(i.r.l.object.typ)+8, 40)
	if err != nil {
		return out
	}
	out.Handle, out.Owner, out.Count = s.u64(0), s.u64(8), s.i32(16)
	if p := s.u64(32); p != 0 {
		out.Name, _ = i.v.cstring(p, 64)
	}
	if b, err := i.v.bytes(out.Handle, 4); err == nil {
		out.Value = int(b[0]) | int(b[1])<<8
	}
	return out
}

// AsyncFuture is the state of a Future or Task of asyncio.
type AsyncFuture struct {
	Done, Cancelled bool
	// Exception is the object that it failed with, 0 for none.
	Exception uint64
}

// AsyncTask reads a Task of the C module that has come to its end, or not
// (FutureObj_HEAD, Modules/_asynciomodule.c), and futures written in Python.
func (i *Inspector) AsyncTask(obj uint64) (AsyncFuture, bool) {
	t, ok := i.typeOf(obj)
	if !ok {
		return AsyncFuture{}, false
	}
	c := taskReader{r: i.r, v: i.v, m: i.m}
	if !c.isC(t) {
		return AsyncFuture{}, false
	}
	at := i.r.l.task.coro
	coro := uint64(0)
	for _, d := range []int{0, -8, 8, -16, 16} {
		p, err := i.v.u64(obj + uint64(at+d))
		if err == nil && genKinds[i.Type(p)] == isGen {
			coro = p
			break
		}
	}
	if coro != 0 {
		if _, state, err := i.r.genFrame(i.v, coro); err != nil || state != genDone {
			return AsyncFuture{}, err == nil
		}
	}
	// fut_loop, fut_callback0, fut_context0, fut_callbacks, fut_exception, then
	// fut_exception_tb (from 3.11 on, and in later releases of 3.10), fut_result.
	head := i.r.l.object.typ + 8
	s, err := i.v.record("future", obj+uint64(head), 7*8)
	if err != nil {
		return AsyncFuture{}, false
	}
	// Where there is no fut_exception_tb, fut_source_tb follows, which only the
	// debug mode sets.
	out := AsyncFuture{Done: true, Exception: s.u64(4 * 8)}
	out.Cancelled = out.Exception == 0 && s.u64(5*8) == 0 && s.u64(6*8) == 0
	return out, true
}

// TaskCallbacks returns what a Task or Future of the C module calls when it is done:
// fut_callback0 and the first of each pair in fut_callbacks (FutureObj_HEAD, with which both
// begin).
func (i *Inspector) TaskCallbacks(obj uint64) []uint64 {
	t, ok := i.typeOf(obj)
	c := taskReader{r: i.r, v: i.v, m: i.m}
	if !ok {
		return nil
	}
	if name, err := i.r.nameOfType(i.v, t.addr); !c.isC(t) && (err != nil || name != "_asyncio.Future") {
		return nil
	}
	s, err := i.v.record("future", obj+uint64(i.r.l.object.typ)+8, 4*8)
	if err != nil {
		return nil
	}
	var out []uint64
	if first := s.u64(8); first != 0 {
		out = append(out, first)
	}
	for _, pair := range i.Items(s.u64(24), 50) {
		out = append(out, i.Items(pair, 1)...)
	}
	return out
}

// Found is Attr of one name that may be None, or an attribute of the object's class;
// 0 where code computes it.
func (i *Inspector) Found(obj uint64, name string) uint64 {
	o, err := i.r.attribute(i.v, obj, name)
	if err != nil {
		return 0
	}
	return o.Addr
}

// TaskName returns the name of a Task.
func (i *Inspector) TaskName(obj uint64) string {
	t, ok := i.typeOf(obj)
	if !ok {
		return ""
	}
	c := taskReader{r: i.r, v: i.v, m: i.m}
	if !c.isC(t) {
		return ""
	}
	// The name follows the coroutine.
	for _, d := range []int{0, -8, 8, -16, 16} {
		p, err := i.v.u64(obj + uint64(i.r.l.task.coro+d))
		if err != nil {
			continue
		}
		if genKinds[i.Type(p)] == isGen || i.None(p) {
			if name, err := i.v.u64(obj + uint64(i.r.l.task.coro+d+8)); err == nil {
				if s := c.name(name); s != "" {
					return s
				}
			}
		}
	}
	return ""
}

// Descriptor returns the descriptor of a socket, raw file or connection of
// multiprocessing, also through the buffers around one.
func (i *Inspector) Descriptor(obj uint64) (int, bool) {
	head := uint64(i.r.l.object.typ) + 8
	for range 5 {
		switch name := i.Type(obj); name {
		case "FileIO":
			return i.word32(obj + head)
		case "BufferedReader", "BufferedWriter", "BufferedRandom":
			obj, _ = i.v.u64(obj + head) // raw
		case "BufferedRWPair":
			obj = i.writer(obj)
		case "TextIOWrapper":
			obj, _ = i.v.u64(obj + head + 16) // ok, detached, chunk_size, buffer
		case "SocketIO":
			obj = i.Attr(obj, "_sock")
		case "Connection":
			n, ok := i.Int(i.Attr(obj, "_handle"))
			return int(n), ok
		case "socket", "SSLSocket":
			return i.word32(obj + head)
		default:
			if t, ok := i.typeOf(obj); ok && t.flags&flagHeapType != 0 && i.IsA(obj, "socket") {
				return i.word32(obj + head)
			}
			return 0, false
		}
	}
	return 0, false
}

func (i *Inspector) word32(addr uint64) (int, bool) {
	b, err := i.v.bytes(addr, 4)
	if err != nil {
		return 0, false
	}
	n := record{addr, b}.i32(0)
	return n, n >= 0
}

// Buffer returns the buffer of a text file, of a pair that of its writing half, and a buffer
// itself; 0 for other objects.
func (i *Inspector) Buffer(obj uint64) uint64 {
	if i.Type(obj) == "TextIOWrapper" {
		obj, _ = i.v.u64(obj + uint64(i.r.l.object.typ) + 8 + 16) // as in Descriptor
	}
	obj = i.writer(obj)
	switch i.Type(obj) {
	case "BufferedReader", "BufferedWriter", "BufferedRandom":
		return obj
	}
	return 0
}

// Unused is how many bytes a buffered file has read from its descriptor and not given out:
// of struct buffered the members buffer, pos, raw_pos and read_end lie behind raw, four
// ints, finalizing and abs_pos.
func (i *Inspector) Unused(obj uint64) int {
	const most = 1 << 30
	buffer := i.Buffer(obj)
	if class := i.Type(buffer); class != "BufferedReader" && class != "BufferedRandom" {
		return 0
	}
	s, err := i.v.record("buffered", buffer+uint64(i.r.l.object.typ)+8, 72)
	if err != nil {
		return 0
	}
	data, pos, end := s.u64(40), s.u64(48), s.u64(64)
	if data == 0 || end > most || pos >= end {
		return 0
	}
	return int(end - pos)
}

// BufferOwner tells whether word is the state of the lock of a buffered file, and which
// thread has that: of struct buffered (Modules/_io/bufferedio.c) the members lock, the
// address of a POSIX semaphore, and owner, an ident, lie behind each other.
func (i *Inspector) BufferOwner(buffer, word uint64) (owner uint64, ok bool) {
	if buffer == 0 || word == 0 {
		return 0, false
	}
	const from, to = 64, 120 // behind the object's head; lock is at 88
	s, err := i.v.record("buffered", buffer+uint64(i.r.l.object.typ)+8, to+8)
	if err != nil {
		return 0, false
	}
	for at := from; at < to; at += 8 {
		if s.u64(at) == word {
			return s.u64(at + 8), true
		}
	}
	return 0, false
}

// Ints reads the first integers of a memoryview of C's int: of PyMemoryViewObject the
// member view.buf follows mbuf, hash, flags and exports.
func (i *Inspector) Ints(obj uint64, n int) []int {
	if i.Type(obj) != "memoryview" || n > 64 {
		return nil
	}
	buf, err := i.v.u64(obj + uint64(i.r.l.object.size) + 8 + 4*8)
	if err != nil {
		return nil
	}
	b, err := i.v.bytes(buf, 4*n)
	if err != nil {
		return nil
	}
	out := make([]int, n)
	for k := range out {
		out[k] = record{buf, b}.i32(4 * k)
	}
	return out
}
