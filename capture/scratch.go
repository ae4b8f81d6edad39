package capture

import (
	"math/bits"

	"golang.org/x/sys/unix"

	"pyrr/internal/inject"
	"pyrr/internal/ptrace"
	"pyrr/internal/sys"
)

// What the kernel writes for a thread that waits in a call becomes visible to
// the other threads at once, but in the log it appears when the waiting thread
// runs again. So that both are the same moment, calls that may wait and fill one
// buffer fill a slot of the scratch area instead, in processes of several
// threads, and the bytes are copied when the thread runs.
const (
	scratchBase  = areaBase + 1<<24
	scratchPart  = 128 << 10
	scratchParts = 64
	scratchSize  = scratchParts * scratchPart
)

var _ [scratchBase - areaBase - inject.AreaSize]struct{} // they do not overlap

// mapScratch maps the scratch area of a process that is about to have a second
// thread. t stands at the exit of a system call. A process that has no room for
// it goes without.
func (r *recorder) mapScratch(t *task) error {
	p := t.proc
	if p.scratch || p.area == nil || t.pid != p.pid {
		return nil
	}
	ret, err := r.inject(t, p.area.Gadget, sys.SYS_MMAP, scratchBase, scratchSize, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE|unix.MAP_FIXED_NOREPLACE, ^uint64(0), 0)
	p.scratch = ret == scratchBase
	return err
}

// divert makes the call that t stands before write to the scratch area.
func (r *recorder) divert(t *task) error {
	p := t.proc
	switch t.ev.Nr {
	case sys.SYS_READ, sys.SYS_RECVFROM, sys.SYS_PREAD64:
	default:
		return nil
	}
	n := t.ev.Args[2]
	if !p.scratch || len(p.tasks) < 2 || len(p.shared) > 0 || n == 0 || n > scratchPart || p.diverting == ^uint64(0) {
		return nil
	}
	slot := bits.TrailingZeros64(^p.diverting)
	t.diverted = scratchBase + uint64(slot)*scratchPart
	p.diverting |= 1 << slot
	return ptrace.SetArg(t.tid, 1, t.diverted)
}

// undivert ends what divert began: ret bytes go where the program wants them,
// and the register shows that again. It returns what the call comes to.
func (r *recorder) undivert(t *task, ret int64) (int64, error) {
	at := t.diverted
	if at == 0 {
		return ret, nil
	}
	t.endDiversion()
	if err := ptrace.SetArg(t.tid, 1, t.ev.Args[1]); err != nil {
		return ret, err
	}
	n := min(ret, int64(t.ev.Args[2]))
	if n <= 0 {
		return ret, nil
	}
	if int(n) > len(r.buf) {
		r.buf = make([]byte, n)
	}
	b := r.buf[:n]
	if err := (ptrace.Mem)(t.tid).ReadAt(b, at); err != nil {
		return ret, err
	}
	done, err := ptrace.WriteUser(t.tid, t.ev.Args[1], b)
	switch {
	case ptrace.Gone(err):
		return ret, err
	case err != nil && done == 0:
		return -int64(unix.EFAULT), nil
	case err != nil:
		return int64(done), nil
	}
	return ret, nil
}

// freeSlot gives the slot of a thread to others.
func (t *task) endDiversion() {
	if t.diverted != 0 {
		t.proc.diverting &^= 1 << ((t.diverted - scratchBase) / scratchPart)
		t.diverted = 0
	}
}
