package capture

import (
	"errors"
	"fmt"
	"hash/maphash"
	"os"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// Memory that several mappings share (two processes, or one process twice)
// is held by one mapping at a time. The others have no access to it: their
// next touch is a fault, at a point of their execution that replay finds
// again by itself, and there the log says what the holder wrote meanwhile.
// So each process replays by itself, and all of them run in parallel.
//
// What is held is a unit of 64 KiB. Holders change only while the present
// one runs no user code: at a system call or before an exact instruction.

const (
	unitSize  = 64 << 10
	unitPages = unitSize / pageSize
)

// sharedObject is what several mappings show: a file, or anonymous memory.
type sharedObject struct {
	key  objectKey
	maps []*sharedMap
	// holder of each unit, by offset/unitSize; a unit without one belongs
	// to whoever touches it first.
	holder map[uint64]*sharedMap
	multi  bool // it is or was shown by more than one mapping
	file   *os.File
}

type objectKey struct{ dev, ino uint64 }

// sharedMap is a MAP_SHARED mapping of a recorded process.
type sharedMap struct {
	obj        *sharedObject
	sp         *space
	start, end uint64
	off        uint64 // in the object
	prot       uint64
	// seen holds a hash of each page as the process last saw it, by its
	// number in the object.
	seen map[uint64]uint64
	// noFile is where replay lets accesses fault as those beyond the end of the
	// file do; 0 where it does not.
	noFile uint64
}

var (
	seenSeed = maphash.MakeSeed()
	zeroPage = maphash.Bytes(seenSeed, make([]byte, pageSize))
)

// waiter is a thread that needs a unit which is held by running code.
type waiter struct {
	t    *task
	m    *sharedMap
	unit uint64
	// file is set instead where it wants nobody to hold anything of a file
	// that it is about to write to.
	file *sharedObject
	// atEntry: it stands before a system call that points there, else at a
	// fault with these registers.
	atEntry bool
	regs    linux.Regs
	arrived bool // that it stands there is in the log
}

var errBusy = errors.New("held by running code")

// addShared notes a new shared mapping. It returns the object, which is
// multi if another mapping shows it already.
func (r *recorder) addShared(sp *space, start, end, off, prot uint64, key objectKey) *sharedMap {
	var o *sharedObject
	if key.ino != 0 {
		o = r.objects[key]
	}
	if o == nil {
		o = &sharedObject{key: key, holder: map[uint64]*sharedMap{}}
		if key.ino != 0 {
			r.objects[key] = o
		}
	}
	m := &sharedMap{obj: o, sp: sp, start: start, end: end, off: off, prot: prot, seen: map[uint64]uint64{}}
	o.maps = append(o.maps, m)
	sp.shared = append(sp.shared, m)
	if len(o.maps) > 1 && !o.multi {
		o.multi = true
		first := o.maps[0]
		for u := first.off / unitSize; u*unitSize < first.off+first.end-first.start; u++ {
			o.holder[u] = first
		}
	}
	return m
}

// dropShared forgets a mapping that is no more.
func (r *recorder) dropShared(m *sharedMap) {
	o := m.obj
	for i, x := range o.maps {
		if x == m {
			o.maps = append(o.maps[:i], o.maps[i+1:]...)
			break
		}
	}
	for u, h := range o.holder {
		if h == m {
			delete(o.holder, u)
		}
	}
	if len(o.maps) == 0 {
		if r.objects[o.key] == o {
			delete(r.objects, o.key)
		}
		if o.file != nil {
			o.file.Close()
			o.file = nil
		}
	}
	for i, x := range m.sp.shared {
		if x == m {
			m.sp.shared = append(m.sp.shared[:i], m.sp.shared[i+1:]...)
			break
		}
	}
}

// span of a unit within the mapping.
func (m *sharedMap) span(unit uint64) (start, end uint64) {
	lo := max(unit*unitSize, m.off)
	hi := min((unit+1)*unitSize, m.off+m.end-m.start)
	if lo >= hi {
		return 0, 0
	}
	return m.start + lo - m.off, m.start + hi - m.off
}

func (m *sharedMap) unitOf(addr uint64) uint64 { return (m.off + addr - m.start) / unitSize }

// forkShared gives a forked child its own view of what its parent shares: it
// holds nothing at first.
func (r *recorder) forkShared(parent, child *task) error {
	from, sp := parent.sp, child.sp
	if len(from.shared) == 0 {
		return nil
	}
	if err := r.makeHelper(parent); err != nil {
		return err
	}
	if err := r.makeHelper(child); err != nil {
		return err
	}
	ev := recording.Event{Kind: recording.KindFault, TID: int32(child.tid)}
	for _, m := range append([]*sharedMap(nil), from.shared...) {
		o := m.obj
		c := &sharedMap{obj: o, sp: sp, start: m.start, end: m.end, off: m.off, prot: m.prot, seen: map[uint64]uint64{}}
		if !o.multi {
			o.multi = true
			for u := m.off / unitSize; u*unitSize < m.off+m.end-m.start; u++ {
				o.holder[u] = m
			}
		}
		// The replayed child begins with a copy of what the parent has: its
		// own writes where it holds the unit, what it saw last elsewhere.
		for n, h := range m.seen {
			c.seen[n] = h
		}
		for u, h := range o.holder {
			if h == m {
				start, end := m.span(u)
				c.changed(child.tid, start, end)
			}
		}
		o.maps = append(o.maps, c)
		sp.shared = append(sp.shared, c)
		if err := r.protect(sp, c.start, c.end, unix.PROT_NONE); err != nil {
			return err
		}
		ev.Maps = append(ev.Maps, recording.Mapping{Start: c.start, End: c.end})
	}
	r.log(sp, &ev)
	return nil
}

// mapShared handles a new shared mapping of an object that others show too.
func (r *recorder) mapShared(t *task, m *sharedMap) error {
	if !m.obj.multi {
		return nil
	}
	for _, o := range m.obj.maps {
		if o.sp != t.sp && o.sp.helper == nil {
			return fmt.Errorf("memory shared with process %d, which can't be stopped for it", o.sp.pid)
		}
	}
	if err := r.makeHelper(t); err != nil {
		return err
	}
	if err := r.protect(t.sp, m.start, m.end, unix.PROT_NONE); err != nil {
		return err
	}
	ev := recording.Event{Kind: recording.KindFault, TID: int32(t.tid), Instr: t.sp.base,
		Maps: []recording.Mapping{{Start: m.start, End: m.end}}}
	r.log(t.sp, &ev)
	return nil
}

// makeHelper adds a thread of pyrr's own to an address space that shares
// memory: a process that never runs, through which protections can be
// changed while all of the program's threads wait in the kernel. t must be
// stopped in user mode or at a system call exit.
func (r *recorder) makeHelper(t *task) error {
	sp := t.sp
	if sp.helper != nil {
		return nil
	}
	if err := r.endDispatch(t); err != nil {
		return err
	}
	var child uint64
	ret, err := ptrace.InjectStops(t.tid, sp.area.Gadget, unix.SYS_CLONE, [6]uint64{unix.CLONE_VM}, func(st unix.WaitStatus) error {
		if ptrace.Event(st) == unix.PTRACE_EVENT_CLONE {
			var err error
			child, err = ptrace.EventMsg(t.tid)
			return err
		}
		return r.injectedStop(t, st)
	})
	if err == nil && (ret < 0 || child == 0) {
		err = errnoOf(ret)
	}
	if err != nil {
		return fmt.Errorf("make a helper thread: %w", err)
	}
	h := &task{tid: int(child), pid: int(child), helper: true}
	if _, ok := r.early[h.tid]; ok {
		delete(r.early, h.tid)
	} else if _, st, err := ptrace.WaitFor(h.tid); err != nil || !st.Stopped() {
		return fmt.Errorf("make a helper thread: it is %s: %w", ptrace.Describe(st), err)
	}
	h.stopped = true
	r.tasks[h.tid] = h
	sp.helper = h
	var regs linux.Regs
	if err := ptrace.GetRegs(h.tid, &regs); err != nil {
		return err
	}
	// It must hold none of the program's pipes and sockets open, and the
	// terminal's signals are not for it.
	if _, err := ptrace.Inject(h.tid, sp.area.Gadget, closeRange, [6]uint64{0, uint64(^uint32(0)), 0}, ignoreStops); err != nil {
		return fmt.Errorf("prepare the helper thread: %w", err)
	}
	_, err = ptrace.Inject(h.tid, sp.area.Gadget, unix.SYS_SETSID, [6]uint64{}, ignoreStops)
	return err
}

const closeRange = 436

func ignoreStops(unix.WaitStatus) error { return nil }

// dropHelper ends the helper thread of a space.
func (r *recorder) dropHelper(sp *space) {
	h := sp.helper
	if h == nil {
		return
	}
	sp.helper = nil
	h.dead = true
	unix.Kill(h.tid, unix.SIGKILL)
}

// protect changes the protection of a part of an address space whose threads
// may all be waiting in the kernel.
func (r *recorder) protect(sp *space, start, end, prot uint64) error {
	if sp.helper == nil {
		return fmt.Errorf("process %d shares memory and has no helper", sp.pid)
	}
	ret, err := ptrace.Inject(sp.helper.tid, sp.area.Gadget, unix.SYS_MPROTECT, [6]uint64{start, end - start, prot}, ignoreStops)
	if err != nil {
		return fmt.Errorf("protect shared memory of process %d: %w", sp.pid, err)
	}
	if ret != 0 {
		return fmt.Errorf("protect shared memory of process %d: %w", sp.pid, errnoOf(ret))
	}
	return nil
}

// busy reports whether a space runs code, or is inside a call, that may be
// using a unit which m holds.
func (r *recorder) busy(m *sharedMap, unit uint64, forTask *task) bool {
	sp := m.sp
	if sp.mode != modeRecord {
		return false
	}
	if c := sp.cur; c != nil && c != forTask && c.state == stateRun && !c.stopped && !c.dead {
		return true
	}
	for _, t := range sp.tasks {
		if t == forTask || t.stopped || t.dead || t.state != stateKernel {
			continue
		}
		for _, p := range t.pins {
			if p.m == m && p.unit == unit && !(t.ev.Nr == unix.SYS_FUTEX && sleeping(t.tid)) {
				return true
			}
		}
	}
	return false
}

// take makes m the holder of a unit. The thread t, of m's process, is
// stopped. It returns what changed for that process, or errBusy.
func (r *recorder) take(t *task, m *sharedMap, unit uint64) (recording.Mapping, []recording.Write, error) {
	start, end := m.span(unit)
	if h := m.obj.holder[unit]; h != nil && h != m {
		if r.busy(h, unit, t) {
			return recording.Mapping{}, nil, errBusy
		}
		if err := r.revoke(h, unit); err != nil {
			return recording.Mapping{}, nil, err
		}
	}
	m.obj.holder[unit] = m
	if err := r.protect(m.sp, start, end, m.prot); err != nil {
		return recording.Mapping{}, nil, err
	}
	return recording.Mapping{Start: start, End: end, Prot: uint32(m.prot)}, m.changed(t.tid, start, end), nil
}

// revoke takes a unit from its holder, which runs no user code.
func (r *recorder) revoke(h *sharedMap, unit uint64) error {
	sp := h.sp
	delete(h.obj.holder, unit)
	if sp.mode != modeRecord || len(sp.tasks) == 0 || sp.helper == nil {
		return nil
	}
	start, end := h.span(unit)
	if start == end {
		return nil
	}
	h.changed(sp.helper.tid, start, end) // its own writes are seen
	if err := r.protect(sp, start, end, unix.PROT_NONE); err != nil {
		return err
	}
	ev := recording.Event{Kind: recording.KindFault, Instr: sp.base, Maps: []recording.Mapping{{Start: start, End: end}}}
	if t := sp.atTick; t != nil {
		ev.Stop = recording.StopInstr
		sp.atTick = nil // one event reaches the position, later ones stand there
		var regs linux.Regs
		if err := ptrace.GetRegs(t.tid, &regs); err != nil {
			return err
		}
		return r.logAt(t, &ev, &regs)
	}
	for _, t := range sp.tasks {
		if t.inSys && !t.entered && t.call != nil {
			r.logEnter(t)
		}
	}
	for _, t := range sp.tasks {
		if !t.dead && !t.leadExit && t.state != stateNew {
			ev.TID = int32(t.tid)
			break
		}
	}
	r.log(sp, &ev)
	return nil
}

// findShared finds the shared mapping that holds addr, if others show the
// same object and the unit is not m's.
func (sp *space) findShared(addr uint64) *sharedMap {
	for _, m := range sp.shared {
		if addr >= m.start && addr < m.end {
			if m.obj.multi {
				return m
			}
			return nil
		}
	}
	return nil
}

// sharedFault handles a fault in memory that another mapping holds.
func (r *recorder) sharedFault(t *task, addr uint64, regs *linux.Regs) (bool, error) {
	m := t.sp.findShared(addr)
	if m == nil {
		return false, nil
	}
	unit := m.unitOf(addr)
	if m.obj.holder[unit] == m {
		return false, nil // a fault of the program's own
	}
	if err := r.unforce(t); err != nil {
		return true, err
	}
	if _, _, err := r.counters(t, 0, 0); err != nil {
		return true, err
	}
	w := &waiter{t: t, m: m, unit: unit, regs: *regs}
	return true, r.serve(w)
}

// revokeFile takes all of a file's units from other processes, before t
// changes the file through a descriptor.
func (r *recorder) revokeFile(o *sharedObject, t *task) error {
	for u, h := range o.holder {
		if h.sp != t.sp && r.busy(h, u, t) {
			return errBusy
		}
	}
	for u, h := range o.holder {
		if h.sp != t.sp {
			if err := r.revoke(h, u); err != nil {
				return err
			}
		}
	}
	return nil
}

// writesShared returns the object that the call at hand is going to change
// through a descriptor, if other processes show it.
func (r *recorder) writesShared(t *task) *sharedObject {
	arg, ok := writers[int(t.ev.Nr)]
	if !ok || t.cleared {
		return nil
	}
	var st unix.Stat_t
	if unix.Stat(fmt.Sprintf("/proc/%d/fd/%d", t.pid, int32(t.ev.Args[arg])), &st) != nil {
		return nil
	}
	o := r.objects[objectKey{st.Dev, st.Ino}]
	if o == nil || !o.multi {
		return nil
	}
	for _, h := range o.holder {
		if h.sp != t.sp {
			return o
		}
	}
	return nil
}

// needShared acquires what the arguments of the call at hand point to, since
// the kernel takes no fault for it. It reports whether the thread must wait.
func (r *recorder) needShared(t *task) (wait bool, err error) {
	t.pins = t.pins[:0]
	if o := r.writesShared(t); o != nil {
		return true, r.serve(&waiter{t: t, file: o, atEntry: true})
	}
	if len(t.sp.shared) == 0 {
		return false, nil
	}
	for _, a := range r.pointers(t) {
		m := t.sp.findShared(a)
		if m == nil {
			continue
		}
		unit := m.unitOf(a)
		t.pins = append(t.pins, pin{m, unit})
		if m.obj.holder[unit] == m {
			continue
		}
		w := &waiter{t: t, m: m, unit: unit, atEntry: true}
		if err := r.serve(w); err != nil {
			return true, err
		}
		return true, nil
	}
	return false, nil
}

// pin is a unit that a call in progress may touch.
type pin struct {
	m    *sharedMap
	unit uint64
}

// pointers lists addresses that a call's arguments may lead the kernel to.
func (r *recorder) pointers(t *task) []uint64 {
	list := append([]uint64(nil), t.ev.Args[:]...)
	list = append(list, r.dyingWords(t)...)
	switch t.ev.Nr {
	case unix.SYS_READ, unix.SYS_WRITE, unix.SYS_PREAD64, unix.SYS_PWRITE64, unix.SYS_RECVFROM, unix.SYS_SENDTO:
		for off := uint64(unitSize); off < t.ev.Args[2] && off < 1<<30; off += unitSize {
			list = append(list, t.ev.Args[1]+off)
		}
		list = append(list, t.ev.Args[1]+t.ev.Args[2]-1)
	case unix.SYS_MREMAP, unix.SYS_MPROTECT, unix.SYS_MADVISE, unix.SYS_MSYNC:
		// The whole of it, so that all has one protection.
		for off := uint64(unitSize); off < t.ev.Args[1] && off < 1<<40; off += unitSize {
			list = append(list, t.ev.Args[0]+off)
		}
	case unix.SYS_READV, unix.SYS_WRITEV:
		for i := uint64(0); i < min(t.ev.Args[2], 64); i++ {
			if base, err := readU64(t.tid, t.ev.Args[1]+16*i); err == nil {
				list = append(list, base)
			}
		}
	}
	return list
}

// serve gives a waiter what it needs, or puts it in line for that.
func (r *recorder) serve(w *waiter) error {
	t := w.t
	var mp recording.Mapping
	var mem []recording.Write
	var err error
	if w.file != nil {
		err = r.revokeFile(w.file, t)
	} else {
		if h := w.m.obj.holder[w.unit]; h != nil && h.sp == t.sp {
			// It is taken from another mapping of the same process, which
			// must not happen before the thread gets here.
			if err := r.arrive(w); err != nil {
				return err
			}
		}
		mp, mem, err = r.take(t, w.m, w.unit)
	}
	if errors.Is(err, errBusy) {
		// That it stands there goes into the log first: what its process
		// holds may be taken while it waits.
		if err := r.arrive(w); err != nil {
			return err
		}
		r.waiters = append(r.waiters, w)
		if w.file != nil {
			for _, h := range w.file.holder {
				h.sp.wanted = true
			}
		} else if h := w.m.obj.holder[w.unit]; h != nil {
			h.sp.wanted = true
		}
		return nil
	}
	if err != nil {
		return err
	}
	if w.file != nil {
		t.cleared = true
		return r.enterCall(t)
	}
	ev := recording.Event{Kind: recording.KindFault, TID: int32(t.tid), Instr: t.sp.base, Maps: []recording.Mapping{mp}, Mem: mem}
	if w.atEntry {
		r.logEnter(t)
		r.log(t.sp, &ev)
		return r.enterCall(t)
	}
	if w.arrived {
		r.log(t.sp, &ev)
		return r.runOn(t)
	}
	ev.Stop = recording.StopTrap
	if err := r.logAt(t, &ev, &w.regs); err != nil {
		return err
	}
	return r.runOn(t)
}

// arrive logs that a waiter stands where it does.
func (r *recorder) arrive(w *waiter) error {
	if w.arrived {
		return nil
	}
	w.arrived = true
	if w.atEntry {
		r.logEnter(w.t)
		return nil
	}
	ev := recording.Event{Kind: recording.KindFault, Stop: recording.StopTrap}
	return r.logAt(w.t, &ev, &w.regs)
}

// yieldFiles gives up what t's process holds of mapped files before a call
// that may wait, while programs run that are not recorded: they may change
// those files, and the next touch then finds out.
func (r *recorder) yieldFiles(t *task) error {
	if !t.blocks || len(t.sp.shared) == 0 || !r.watching() {
		return nil
	}
	return r.yieldSpace(t.sp, t)
}

// yieldAll does the same for all processes that wait, when a program begins that
// is not recorded.
func (r *recorder) yieldAll() {
	for _, sp := range r.spaces {
		if sp.mode == modeRecord && len(sp.shared) > 0 {
			if err := r.yieldSpace(sp, nil); err != nil && !ptrace.Gone(err) && !errors.Is(err, errGone) {
				r.leave(sp, err.Error())
			}
		}
	}
}

// yieldSpace gives up what a process holds of mapped files and no running code
// is using; t is about to wait.
func (r *recorder) yieldSpace(sp *space, t *task) error {
	for _, m := range append([]*sharedMap(nil), sp.shared...) {
		o := m.obj
		if o.key.ino == 0 {
			continue
		}
		if !o.multi {
			if sp.helper == nil {
				continue
			}
			o.multi = true
			for u := m.off / unitSize; u*unitSize < m.off+m.end-m.start; u++ {
				o.holder[u] = m
			}
		}
		for u, h := range o.holder {
			if h == m && !r.busy(m, u, t) && (t == nil || !t.pinned(m, u)) {
				if err := r.revoke(m, u); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (t *task) pinned(m *sharedMap, unit uint64) bool {
	for _, p := range t.pins {
		if p.m == m && p.unit == unit {
			return true
		}
	}
	return false
}

// watching reports whether a program that is not recorded runs.
func (r *recorder) watching() bool {
	for _, t := range r.tasks {
		if t.sp != nil && t.sp.mode == modeWatch && !t.dead {
			return true
		}
	}
	return false
}

// serveAll retries what waits. It is called when a space stops running code
// (sp), or with nil now and then.
func (r *recorder) serveAll() {
	if len(r.waiters) == 0 {
		return
	}
	ws := r.waiters
	r.waiters = nil
	for _, w := range ws {
		if w.t.dead || w.t.sp == nil || w.t.sp.mode != modeRecord {
			continue
		}
		r.settle(w.t, w.t.sp, r.serve(w))
	}
}

// serveAt lets others take what the space of t holds while t stands at a
// position that replay finds again: a system call or a tick.
func (r *recorder) serveAt(t *task) {
	if t.sp.wanted {
		t.sp.wanted = false
		r.serveAll()
	}
}

// restoreShared gives back access to shared mappings.
func (r *recorder) restoreShared(sp *space, tid int) {
	if sp.helper == nil {
		return
	}
	for _, m := range sp.shared {
		if m.obj.multi {
			r.protect(sp, m.start, m.end, m.prot)
		}
	}
	r.endShared(sp)
}

// endShared forgets the shared mappings of a space that is no more.
func (r *recorder) endShared(sp *space) {
	for _, m := range append([]*sharedMap(nil), sp.shared...) {
		r.dropShared(m)
	}
	r.dropHelper(sp)
	r.serveAll()
}
