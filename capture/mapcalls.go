package capture

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
	"pyrr/internal/sys"
)

func syscallNumber(name string) (int, bool) { return linux.Number(name) }

func pageUp(n uint64) uint64 { return (n + pageSize - 1) &^ (pageSize - 1) }

// mappingEffects records what a call did to the address space, beyond what
// its arguments and result say.
func (r *recorder) mappingEffects(t *task, ev *recording.Event) error {
	args, ret := t.ev.Args, ev.Ret
	failed := ret < 0 && ret > -4096
	if t.proc.calls != nil {
		if err := ptrace.WriteU64(t.tid, t.proc.calls.img.Last, 0); err != nil && ptrace.Gone(err) {
			return err
		}
	}
	switch int(t.ev.Nr) {
	case sys.SYS_MMAP:
		if failed {
			return nil
		}
		return r.mmapEffects(t, ev, uint64(ret))
	case sys.SYS_MREMAP:
		if failed {
			return nil
		}
		return r.mremapEffects(t, ev)
	case sys.SYS_MUNMAP:
		if !failed {
			r.unmap(t.proc, args[0], args[0]+pageUp(args[1]))
		}
	case sys.SYS_BRK:
		t.proc.brk = uint64(ret)
	case sys.SYS_MADVISE:
		holes := ret == -int64(unix.ENOMEM) // it was done around them
		if !failed || holes {
			t.proc.madvised(args[0], args[0]+pageUp(args[1]), args[2])
		}
		if (!failed || holes) && args[2] == unix.MADV_DONTNEED {
			r.givenUp(t, ev, args[0], args[0]+pageUp(args[1]))
			return r.rereadFiles(t, ev, args[0], args[0]+pageUp(args[1]))
		}
	case sys.SYS_MPROTECT, sys.SYS_PKEY_MPROTECT:
		if !failed {
			t.proc.codeGone(args[0], args[0]+pageUp(args[1]))
			if args[2]&^7 == 0 { // else of a stack, as far as it goes
				r.codeAsked(t, args[0], args[0]+pageUp(args[1]), args[2])
			}
		}
		if !failed && len(t.proc.quiet) > 0 {
			return r.protectQuiet(t, args[0], args[0]+pageUp(args[1]), args[2])
		}
	case sys.SYS_ARCH_PRCTL:
		ranges, err := linux.Outputs(int(t.ev.Nr), args, ret, ptrace.Mem(t.tid), r.ranges[:0])
		if err != nil {
			return fmt.Errorf("arch_prctl: %w", err)
		}
		return r.capture(t, ev, ranges)
	}
	return nil
}

// mmapEffects finds out what a new mapping holds.
func (r *recorder) mmapEffects(t *task, ev *recording.Event, start uint64) error {
	args := t.ev.Args
	end := start + pageUp(args[1])
	flags := args[3]
	p := t.proc
	r.unmap(p, start, end)
	m := recording.Mapping{Start: start, End: end, Prot: uint32(args[2]) & 7, Shared: flags&unix.MAP_TYPE != unix.MAP_PRIVATE}
	if flags&unix.MAP_ANONYMOUS != 0 {
		ev.Maps = []recording.Mapping{m}
		if m.Shared {
			r.addShared(p, start, end, 0, args[2]&7, objectKey{})
		}
		r.codeAsked(t, start, end, args[2]&7)
		return nil
	}
	fd := int(int32(args[4]))
	at := fmt.Sprintf("/proc/%d/fd/%d", t.pid, fd)
	link, _ := os.Readlink(at)
	m.Name = link
	f, st, err := openOf(t.pid, fd, at)
	if err != nil {
		return fmt.Errorf("open %.200s, which was mapped: %w", link, err)
	}
	defer f.Close() // also where there is none
	regular := f != nil && st.Mode&unix.S_IFMT == unix.S_IFREG
	code := regular && (m.Prot&unix.PROT_EXEC != 0 || isCode(f, m.Shared))
	if key := (objectKey{st.Dev, st.Ino}); regular && !code {
		if m.Shared && m.Prot&unix.PROT_WRITE != 0 {
			if err := r.promoteOwn(t, key); err != nil {
				return err
			}
		} else if r.objects[key] == nil {
			return r.mapQuiet(t, ev, m, f, st, args[5])
		}
		ev.Maps = []recording.Mapping{m}
		t.mapped = r.addShared(p, start, end, args[5], args[2]&7, key)
		q, err := r.quietFile(f, link, st)
		if err != nil {
			return err
		}
		q.obj, t.mapped.gen = t.mapped.obj, q.gen
		if m.Shared {
			t.mapped.obj.keepOpen(f)
		}
		ev.Mem = append(ev.Mem, t.mapped.changed(t.tid, start, end)...)
		return nil
	}
	if !regular {
		ev.Maps = []recording.Mapping{m}
		if link == "/dev/zero" || p.device != "" {
			return nil
		}
		return r.addPages(t, ev, start, end)
	}
	id, err := r.addFile(p, f, link, args[5]+(end-start))
	if err != nil {
		return err
	}
	m.File, m.Offset = id, args[5]
	ev.Maps = []recording.Mapping{m}
	p.files = append(p.files, span{start, end})
	if m.Prot&unix.PROT_EXEC != 0 {
		if err := r.codeMapped(t, ev, link, start, end, args[5], f); err != nil {
			return err
		}
		return r.answerJIT(t, ev, start, end)
	}
	return nil
}

// rereadFiles takes what private mappings of files show once the program has
// given up its own pages of them: the file's content as it is now.
func (r *recorder) rereadFiles(t *task, ev *recording.Event, start, end uint64) error {
	for _, s := range t.proc.files {
		lo, hi := max(s.start, start), min(s.end, end)
		if lo >= hi {
			continue
		}
		if hi-lo > maxFresh {
			return fmt.Errorf("madvise at instruction %d gives up %d bytes of a mapped file", t.proc.base, hi-lo)
		}
		for at := lo; at < hi; at += pageSize {
			page := make([]byte, pageSize)
			if (ptrace.Mem)(t.tid).ReadAt(page, at) != nil {
				continue // beyond the end of the file
			}
			ev.Mem = append(ev.Mem, recording.Write{Addr: at, Data: page})
			if err := forceWrite(t.tid, at, page); err != nil {
				return err
			}
		}
	}
	return nil
}

// forceWrite writes by /proc/PID/mem, which a read-only mapping allows too.
func forceWrite(tid int, addr uint64, b []byte) error {
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", tid), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open memory of %d: %w", tid, err)
	}
	defer f.Close()
	_, err = f.WriteAt(b, int64(addr))
	return err
}

// maxFresh bounds how much of a file is copied while the program waits.
const maxFresh = 64 << 20

// grownShared takes what a shared mapping shows in addition once it has grown,
// unless another process holds that: then this one gets it at its first touch.
func (r *recorder) grownShared(m *sharedMap, oldLen uint64) error {
	for u := (m.off + oldLen) / unitSize; u*unitSize < m.off+m.end-m.start; u++ {
		h := m.obj.holder[u]
		if h == nil {
			m.obj.holder[u] = m
		} else if h != m {
			return fmt.Errorf("mremap of memory that another process uses")
		}
	}
	return nil
}

// mremapEffects records bytes that a grown mapping of a file shows.
func (r *recorder) mremapEffects(t *task, ev *recording.Event) error {
	args := t.ev.Args
	old, oldLen, newLen := args[0], pageUp(args[1]), pageUp(args[2])
	at := uint64(ev.Ret)
	p := t.proc
	if len(p.quiet) > 0 {
		if err := r.moveQuiet(t, old, oldLen, at, newLen); err != nil {
			return err
		}
	}
	p.codeMoved(old, oldLen, at, newLen)
	ofFile := false
	for _, s := range p.files {
		if old < s.end && s.start < old+oldLen {
			ofFile = true
		}
	}
	for _, m := range p.shared {
		if old >= m.start && old < m.end {
			ofFile = ofFile || m.obj.key.ino != 0
			m.off += old - m.start
			m.start, m.end = at, at+newLen
			if m.obj.multi {
				if err := r.grownShared(m, oldLen); err != nil {
					return err
				}
				ev.Mem = append(ev.Mem, m.changed(t.tid, at+min(oldLen, newLen), at+newLen)...)
				return nil
			}
		}
	}
	if ofFile {
		p.files = append(p.files, span{at, at + newLen})
		if newLen > oldLen {
			return r.addPages(t, ev, at+oldLen, at+newLen)
		}
	}
	return nil
}

// madvised notes memory that forks don't get.
func (p *process) madvised(start, end, advice uint64) {
	switch advice {
	case unix.MADV_DONTFORK, unix.MADV_WIPEONFORK:
		p.noFork = append(p.noFork, span{start, end})
	case unix.MADV_DOFORK, unix.MADV_KEEPONFORK:
		p.noFork = without(p.noFork, start, end)
	}
}

// without takes the spans out of a list that lie within one.
func without(list []span, start, end uint64) []span {
	keep := list[:0]
	for _, s := range list {
		if s.start < start || s.end > end {
			keep = append(keep, s)
		}
	}
	return keep
}

// span is a part of the address space.
type span struct{ start, end uint64 }

// unmap forgets what is known of a part of the address space.
func (r *recorder) unmap(p *process, start, end uint64) {
	p.files = without(p.files, start, end)
	p.noFork = without(p.noFork, start, end)
	p.codeGone(start, end)
	if len(p.quiet) > 0 {
		r.unmapQuiet(p, start, end)
	}
	for _, m := range append([]*sharedMap(nil), p.shared...) {
		if m.start >= start && m.end <= end {
			r.dropShared(m)
		}
	}
	for a := range p.patches {
		if a >= start && a < end {
			delete(p.patches, a)
		}
	}
}

// afterSpaceCall installs the clock when a call made its table ready: ld.so
// protects the relocated data of each module (RELRO) before any code of it
// runs.
func (r *recorder) afterSpaceCall(t *task, ev *recording.Event) error {
	if err := r.installPauses(t); err != nil {
		return err
	}
	if t.proc.findCalls != nil {
		if err := r.installCalls(t); err != nil {
			return err
		}
	}
	r.resized(t)
	if err := r.codeMade(t); err != nil {
		return err
	}
	if m := t.mapped; m != nil {
		promoted := t.promoted
		t.mapped, t.promoted = nil, nil
		// Another process may map the same file while this one waits in the
		// kernel, so what that takes is made now.
		if err := r.makeHelper(t); err != nil {
			return err
		}
		for _, p := range promoted {
			if p != p.obj.maps[0] && p != m { // whose the memory is at first
				if err := r.mapShared(t, p); err != nil {
					return err
				}
			}
		}
		return r.mapShared(t, m)
	}
	if t.proc.find != nil && (t.ev.Nr == sys.SYS_MPROTECT || t.ev.Nr == sys.SYS_MUNMAP) && ev.Ret == 0 {
		if err := r.installClock(t); err != nil {
			return err
		}
	}
	return r.patchLoader(t)
}

// fdKey is a descriptor of a process as the kernel knows it: a vfork child shares the memory of its
// parent, but not its descriptors.
type fdKey struct{ pid, fd int }

// noteFD forgets what a descriptor was before a call that may change it.
func (r *recorder) noteFD(t *task, nr int, args [6]uint64) {
	r.forgetFD(t, nr, args)
	forgetName(t, nr, args)
}

// forgetName forgets what a descriptor leads to.
func forgetName(t *task, nr int, args [6]uint64) {
	first, last, ok := linux.Drops(nr, args)
	switch {
	case !ok:
	case first == last:
		delete(t.proc.fds, fdKey{t.pid, first})
	default:
		clear(t.proc.fds)
	}
}
