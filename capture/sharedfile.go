package capture

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
	"pyrr/internal/sys"
)

// writers are the calls that change a file's content through a descriptor,
// with the argument that holds the descriptor.
var writers = map[int]int{
	sys.SYS_WRITE: 0, sys.SYS_PWRITE64: 0, sys.SYS_WRITEV: 0, sys.SYS_PWRITEV: 0, sys.SYS_PWRITEV2: 0,
	sys.SYS_FTRUNCATE: 0, sys.SYS_FALLOCATE: 0, sys.SYS_SENDFILE: 0, sys.SYS_COPY_FILE_RANGE: 2, sys.SYS_SPLICE: 2,
}

// sharedEffects records what a call on a descriptor changed in shared
// mappings of the same file.
func (r *recorder) sharedEffects(t *task, ev *recording.Event) error {
	if ev.Ret < 0 {
		return nil
	}
	o, size := r.writtenObject(t)
	if o == nil {
		return nil
	}
	key := o.key
	from, to := written(t, ev, size)
	for _, m := range t.proc.shared {
		if m.obj.key != key {
			continue
		}
		lo, hi := max(from, m.off), min(to, pageUp(size), m.off+m.end-m.start)
		if lo < hi && hi-lo > maxFresh {
			return fmt.Errorf("%s at instruction %d changes %d bytes of a mapped file", t.call.Name, t.proc.base, hi-lo)
		}
		m.held(lo, hi, func(start, end uint64) { ev.Mem = append(ev.Mem, m.bytes(t.tid, start, end)...) })
		t.resize = append(t.resize, m.resized(size, t.ev.Nr == sys.SYS_FTRUNCATE)...)
	}
	return nil
}

// writtenObject returns the mapped file that the call at hand writes to by a
// descriptor, and its size; nil where nobody maps it.
func (r *recorder) writtenObject(t *task) (*sharedObject, uint64) {
	arg, ok := writers[int(t.ev.Nr)]
	if !ok {
		return nil, 0
	}
	var st unix.Stat_t
	if unix.Stat(fmt.Sprintf("/proc/%d/fd/%d", t.pid, int32(t.ev.Args[arg])), &st) != nil {
		return nil, 0
	}
	return r.objects[objectKey{st.Dev, st.Ino}], uint64(st.Size)
}

// written is the part of a file that a call has changed as far as it exists;
// for one that sets its size, the page that is cut.
func written(t *task, ev *recording.Event, size uint64) (from, to uint64) {
	n, args := uint64(ev.Ret), t.ev.Args
	fd := args[0]
	switch t.ev.Nr {
	case sys.SYS_FTRUNCATE:
		return size &^ (pageSize - 1), pageUp(size)
	case sys.SYS_FALLOCATE:
		if args[1]&^unix.FALLOC_FL_KEEP_SIZE == 0 {
			return 0, 0 // it allocates, and changes no content
		}
		return args[2], args[2] + args[3]
	case sys.SYS_PWRITE64, sys.SYS_PWRITEV, sys.SYS_PWRITEV2:
		if int64(args[3]) >= 0 {
			return args[3], args[3] + n
		}
	case sys.SYS_COPY_FILE_RANGE, sys.SYS_SPLICE:
		fd = args[2]
		if args[3] != 0 { // an offset of its own, which is moved
			pos, err := readU64(t.tid, args[3])
			if err != nil || pos < n {
				return 0, size
			}
			return pos - n, pos
		}
	}
	if pos, ok := filePos(t.pid, int(int32(fd))); ok && pos >= n {
		return pos - n, pos
	}
	return 0, size
}

// filePos is the position of a descriptor of another process (proc_pid_fdinfo(5)).
func filePos(pid, fd int) (uint64, bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", pid, fd))
	if err != nil {
		return 0, false
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pos, err := strconv.ParseUint(strings.TrimSpace(strings.TrimPrefix(line, "pos:")), 10, 64)
	return pos, err == nil
}

// held calls f for the parts of [lo, hi) of the object, as addresses, that are
// m's to write.
func (m *sharedMap) held(lo, hi uint64, f func(start, end uint64)) {
	if lo >= hi {
		return
	}
	if !m.obj.multi {
		f(m.start+lo-m.off, m.start+hi-m.off)
		return
	}
	for u := lo / unitSize; u*unitSize < hi; u++ {
		if m.obj.holder[u] == m {
			f(m.start+max(lo, u*unitSize)-m.off, m.start+min(hi, (u+1)*unitSize)-m.off)
		}
	}
}

// bytes returns what a part of a mapping holds, whatever the process saw there:
// it may have written there itself.
func (m *sharedMap) bytes(tid int, start, end uint64) []recording.Write {
	start, end = start&^(pageSize-1), pageUp(end)
	m.changed(tid, start, end)
	b := make([]byte, end-start)
	if (ptrace.Mem)(tid).ReadAt(b, start) != nil {
		return nil
	}
	return []recording.Write{{Addr: start, Data: b}}
}

// resized returns the events that make the replayed mapping show a file whose
// size is now size: what was cut off comes back as zeros, and what was beyond
// the end can be reached.
func (m *sharedMap) resized(size uint64, cut bool) []recording.Event {
	last := m.start + min(max(pageUp(size), m.off)-m.off, m.end-m.start)
	var evs []recording.Event
	if cut && last < m.end {
		ev := recording.Event{Kind: recording.KindWrite}
		m.held(m.off+last-m.start, m.off+m.end-m.start, func(start, end uint64) {
			ev.Maps = append(ev.Maps, recording.Mapping{Start: start, End: end, Prot: uint32(m.prot)})
			lo, hi := (m.off+start-m.start)/pageSize, (m.off+end-m.start)/pageSize
			maps.DeleteFunc(m.seen, func(n, _ uint64) bool { return n >= lo && n < hi })
		})
		evs = append(evs, ev)
	}
	if m.noFile == 0 || cut && last < m.noFile {
		m.noFile = 0 // until the next access
		return evs
	}
	if last > m.noFile {
		ev := recording.Event{Kind: recording.KindFault}
		m.held(m.off+m.noFile-m.start, m.off+last-m.start, func(start, end uint64) {
			ev.Maps = append(ev.Maps, recording.Mapping{Start: start, End: end, Prot: uint32(m.prot)})
		})
		evs = append(evs, ev)
		if m.noFile = last; last == m.end {
			m.noFile = 0
		}
	}
	return evs
}

// resized logs what follows from the new size of a file, after the call.
func (r *recorder) resized(t *task) {
	for i := range t.resize {
		ev := &t.resize[i]
		ev.TID, ev.Instr = int32(t.tid), t.proc.base
		if len(ev.Maps)+len(ev.Mem) > 0 {
			r.log(t.proc, ev)
		}
	}
	t.resize = t.resize[:0]
}

// beyondFile makes replay fault where t did: beyond the end of a mapped file,
// in memory that replay has without a file. It takes effect at the event before,
// since when the file has had its size.
func (r *recorder) beyondFile(t *task) {
	addr := t.info.Addr()
	for _, m := range append(slices.Clone(t.proc.shared), t.proc.quiet...) {
		file := m.obj.file
		if m.quiet != nil {
			file = m.quiet.file
		}
		if addr < m.start || addr >= m.end || file == nil || m.noFile != 0 || m.ofFile && !m.quiet.changed {
			continue
		}
		var st unix.Stat_t
		if unix.Fstat(int(file.Fd()), &st) != nil {
			return
		}
		last := m.start + max(pageUp(uint64(st.Size)), m.off) - m.off
		if addr < last {
			return
		}
		m.noFile = last
		ev := recording.Event{Kind: recording.KindFault, TID: int32(t.tid), Instr: t.proc.base}
		m.held(m.off+last-m.start, m.off+m.end-m.start, func(start, end uint64) {
			ev.Maps = append(ev.Maps, recording.Mapping{Start: start, End: end})
		})
		r.log(t.proc, &ev)
		return
	}
}

// keepOpen keeps a descriptor of the file of an object, to find its holes by.
func (o *sharedObject) keepOpen(f *os.File) {
	if o.file != nil {
		return
	}
	if fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3); err == nil {
		o.file = os.NewFile(uintptr(fd), f.Name())
	}
}
