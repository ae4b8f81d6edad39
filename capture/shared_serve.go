package capture

import (
	"errors"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
	"pyrr/internal/sys"
)

// waiter is a thread that needs a unit which is held by running code.
type waiter struct {
	t    *task
	m    *sharedMap
	unit uint64
	// file is set instead where it wants nobody to hold anything of a file
	// that it is about to write to.
	file *sharedObject
	// quiet: it is about to change a file that processes show which run code.
	quiet *quietFile
	// atEntry: it stands before a system call that points there, else at a
	// fault with these registers.
	atEntry bool
	at      *moment
	arrived bool // that it stands there is in the log
}

// pin is a unit that a call in progress may touch.
type pin struct {
	m    *sharedMap
	unit uint64
}

// sharedFault handles a fault in memory that another mapping holds.
func (r *recorder) sharedFault(t *task, addr uint64, regs *linux.Regs) (bool, error) {
	m := t.proc.findShared(addr)
	if m == nil {
		return false, nil
	}
	unit := m.unitOf(addr)
	if m.obj.holder[unit] == m {
		return false, nil // a fault of the program's own
	}
	at, err := r.momentOfFault(t, regs)
	if err != nil {
		return true, err
	}
	return true, r.serve(&waiter{t: t, m: m, unit: unit, at: at})
}

// momentOfFault is where a thread faulted, which was not forced to stop there.
func (r *recorder) momentOfFault(t *task, regs *linux.Regs) (*moment, error) {
	if err := r.unforce(t); err != nil {
		return nil, err
	}
	return r.momentOf(t, recording.StopTrap, regs)
}

// revokeFile takes all of a file's units from other processes, before t
// changes the file through a descriptor.
func (r *recorder) revokeFile(o *sharedObject, t *task) error {
	for u, h := range o.holder {
		if h.proc != t.proc && h.busy(r.kernel, u, t) {
			return errBusy
		}
	}
	for u, h := range o.holder {
		if h.proc != t.proc {
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
	if t.cleared {
		return nil
	}
	o, _ := r.writtenObject(t)
	if o == nil || !o.multi {
		return nil
	}
	for _, h := range o.holder {
		if h.proc != t.proc {
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
	if len(t.proc.shared) == 0 {
		return false, nil
	}
	for _, a := range r.pointers(t) {
		m := t.proc.findShared(a)
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

// pointers lists addresses that a call's arguments may lead the kernel to.
func (r *recorder) pointers(t *task) []uint64 {
	list := append([]uint64(nil), t.ev.Args[:]...)
	list = append(list, r.dyingWords(t)...)
	switch t.ev.Nr {
	case sys.SYS_READ, sys.SYS_WRITE, sys.SYS_PREAD64, sys.SYS_PWRITE64, sys.SYS_RECVFROM, sys.SYS_SENDTO:
		for off := uint64(unitSize); off < t.ev.Args[2] && off < 1<<30; off += unitSize {
			list = append(list, t.ev.Args[1]+off)
		}
		list = append(list, t.ev.Args[1]+t.ev.Args[2]-1)
	case sys.SYS_MREMAP, sys.SYS_MPROTECT, sys.SYS_MADVISE, sys.SYS_MSYNC:
		// The whole of it, so that all has one protection.
		for off := uint64(unitSize); off < t.ev.Args[1] && off < 1<<40; off += unitSize {
			list = append(list, t.ev.Args[0]+off)
		}
	case sys.SYS_READV, sys.SYS_WRITEV:
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
	if w.quiet != nil {
		return r.enterCall(t)
	}
	var mp recording.Mapping
	var mem []recording.Write
	var err error
	if w.file != nil {
		err = r.revokeFile(w.file, t)
	} else {
		if h := w.m.obj.holder[w.unit]; h != nil && h.proc == t.proc {
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
				r.want(h.proc)
			}
		} else if h := w.m.obj.holder[w.unit]; h != nil {
			r.want(h.proc)
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
	ev := recording.Event{Kind: recording.KindFault, TID: int32(t.tid), Instr: t.proc.base, Memory: recording.Memory{Maps: []recording.Mapping{mp}, Mem: mem}}
	if w.atEntry {
		r.logEnter(t)
		r.log(t.proc, &ev)
		return r.enterCall(t)
	}
	if w.arrived {
		r.log(t.proc, &ev)
		return r.runOn(t)
	}
	if err := r.logAt(w.at, &ev); err != nil {
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
	return r.logAt(w.at, &recording.Event{Kind: recording.KindFault})
}

// yieldFiles gives up what t's process holds of mapped files before a call
// that may wait, while programs run that are not recorded: they may change
// those files, and the next touch then finds out.
func (r *recorder) yieldFiles(t *task) error {
	// Who makes a process is logged with it; what that executes is waited for then.
	if !t.blocks || t.class == linux.Process || len(t.proc.shared) == 0 || !r.watching() {
		return nil
	}
	return r.yieldProcess(t.proc, t)
}

// yieldAll does the same for all processes that wait, when a program begins that
// is not recorded.
func (r *recorder) yieldAll() {
	for _, p := range r.processes {
		if p.mode == modeRecord && len(p.shared) > 0 {
			if err := r.yieldProcess(p, nil); err != nil && !ptrace.Gone(err) && !errors.Is(err, errGone) {
				r.leave(p, err.Error())
			}
		}
	}
}

// yieldProcess gives up what a process holds of mapped files and no running code
// is using; t is about to wait.
func (r *recorder) yieldProcess(p *process, t *task) error {
	for _, m := range append([]*sharedMap(nil), p.shared...) {
		o := m.obj
		if o.key.ino == 0 {
			continue
		}
		if !o.multi {
			if p.helper == nil {
				continue
			}
			o.share(m)
		}
		for u, h := range o.holder {
			if h == m && !m.busy(r.kernel, u, t) && (t == nil || !t.pinned(m, u)) {
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
		if t.proc != nil && t.proc.mode == modeWatch && !t.dead {
			return true
		}
	}
	return false
}

// serveAll retries what waits. It is called when a process stops running code
// (p), or with nil now and then.
func (r *recorder) serveAll() {
	if len(r.waiters) == 0 {
		return
	}
	ws := r.waiters
	r.waiters = nil
	for _, w := range ws {
		if w.t.dead || w.t.proc == nil || w.t.proc.mode != modeRecord {
			continue
		}
		r.settle(w.t, w.t.proc, r.serve(w))
	}
}

// serveAt lets others take what the process of t holds while t stands at a
// position that replay finds again: a system call or a tick. Not where t is about to make
// a process that it waits for: that call's event names it, so it comes first.
func (r *recorder) serveAt(t *task) {
	if t.proc.wanted && !t.making() {
		t.proc.wanted = false
		r.serveAll()
	}
}
