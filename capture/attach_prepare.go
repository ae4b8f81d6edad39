package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
	"pyrr/internal/sys"
)

// prepareAttached puts into a process what a program that pyrr starts gets at its
// beginning.
func (r *recorder) prepareAttached(t *task, maps []linux.Mapping) error {
	p := t.proc
	gate, err := r.codePage(t, maps)
	if err != nil {
		return err
	}
	proc := &recording.Process{}
	moved, err := r.moveVDSO(t, gate, maps)
	if err != nil {
		return err
	}
	if moved != nil {
		if maps, err = linux.ReadMaps(t.pid); err != nil {
			return err
		}
	}
	// Where pyrr attached before, its area is still there, and is about to be made again.
	inArea := func(pc uint64) bool { return pc >= areaBase && pc < areaBase+inject.AreaSize }
	if err := r.stepOut(p, inArea); err != nil {
		return err
	}
	p.left = leftCode(maps)
	if err := r.mapArea(t, gate, maps, proc); err != nil {
		return err
	}
	p.brk = proc.Brk
	if moved != nil {
		if err := r.divertVDSO(t, moved); err != nil {
			return err
		}
	}
	ev := &recording.Event{} // the image has what is written here
	for i := range maps {
		m := &maps[i]
		if m.Shared {
			if err := r.shareAttached(t, m); err != nil {
				return err
			}
			continue
		}
		if m.Ino == 0 {
			continue
		}
		p.files = append(p.files, span{m.Start, m.End})
		if m.Prot&unix.PROT_EXEC != 0 {
			if err := r.codeIn(t, ev, m); err != nil {
				return err
			}
		}
	}
	if err := r.keepClear(t); err != nil {
		return err
	}
	if err := r.installPauses(t); err != nil {
		return err
	}
	if err := r.installClock(t); err != nil {
		return err
	}
	if p.find != nil {
		return errors.New("its interpreter is just being loaded; try again")
	}
	if p.findCalls != nil {
		if err := r.installCalls(t); err != nil {
			return err
		}
		r.learnFDs(t)
	}
	p.left = nil // threads run from here on
	p.scratch = slices.ContainsFunc(maps, func(m linux.Mapping) bool { return m.Start == scratchBase })
	if len(p.tasks) > 1 {
		if err := r.mapScratch(t); err != nil {
			return err
		}
	}
	return r.readActions(t)
}

// keepFormer keeps memory that is about to be overwritten in a process that pyrr
// attached to: it may be attached to again, and then has to be as it was.
func (r *recorder) keepFormer(t *task, addr uint64, n int) error {
	if !r.attached {
		return nil
	}
	b := make([]byte, n)
	if err := (ptrace.Mem)(t.tid).ReadAt(b, addr); err != nil {
		return err
	}
	t.proc.former = append(t.proc.former, ptrace.Span{Addr: addr, Data: b})
	return nil
}

// shareAttached takes in shared memory, as far as nobody but the recorded process
// has it.
func (r *recorder) shareAttached(t *task, m *linux.Mapping) error {
	if m.Prot&unix.PROT_WRITE != 0 {
		if other := alsoMaps(t.pid, m); other != 0 {
			return fmt.Errorf("it shares memory (%s) with process %d, which is not recorded", m.Path, other)
		}
	}
	if m.Ino == 0 || m.Prot&unix.PROT_WRITE == 0 && !strings.HasPrefix(m.Path, "/dev/shm/") {
		if f := openMapped(m, t.pid); f != nil {
			f.Close() // a file that is only read
			return nil
		}
	}
	key := objectKey{}
	if m.Ino != 0 {
		key = objectKey{m.Dev, m.Ino}
	}
	s := r.addShared(t.proc, m.Start, m.End, m.Off, uint64(m.Prot), key)
	if f := openMapped(m, t.pid); f != nil {
		s.obj.keepOpen(f)
		f.Close()
	}
	return nil
}

// alsoMaps finds another process that maps the same memory, 0 for none that can be
// looked at.
func alsoMaps(pid int, m *linux.Mapping) int {
	list, err := os.ReadDir("/proc")
	if err != nil || m.Ino == 0 {
		return 0
	}
	for _, e := range list {
		other, err := strconv.Atoi(e.Name())
		if err != nil || other == pid {
			continue
		}
		maps, err := linux.ReadMaps(other)
		if err == nil && slices.ContainsFunc(maps, func(o linux.Mapping) bool { return o.Shared && o.Dev == m.Dev && o.Ino == m.Ino }) {
			return other
		}
	}
	return 0
}

// codePage finds code of the program's that never runs again, to borrow it for
// injected calls: its entry point.
func (r *recorder) codePage(t *task, maps []linux.Mapping) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/auxv", t.pid))
	if err != nil {
		return 0, fmt.Errorf("read its auxiliary vector: %w", err)
	}
	const atEntry = 9
	for ; len(b) >= 16; b = b[16:] {
		if binary.LittleEndian.Uint64(b) != atEntry {
			continue
		}
		entry := binary.LittleEndian.Uint64(b[8:])
		if slices.ContainsFunc(maps, func(m linux.Mapping) bool {
			return m.Start <= entry && entry+16 <= m.End && m.Prot&unix.PROT_EXEC != 0
		}) {
			return entry, nil
		}
	}
	return 0, errors.New("its entry point is not mapped any more")
}

// keepClear makes no thread stand inside an instruction that is going to be
// replaced: it steps those out of it that do.
func (r *recorder) keepClear(t *task) error {
	proc := t.proc
	calls := func(pc uint64) (site uint64, num bool, ok bool) {
		if proc.findCalls == nil {
			return 0, false, false
		}
		for _, s := range proc.findCalls.sites {
			if at := proc.findCalls.bias + s.Vaddr; pc > at && pc < at+uint64(s.Len) {
				return at, s.SetsNumber() && pc == linux.BeforeCallAt(at+uint64(s.Len)), true
			}
		}
		return 0, false, false
	}
	for _, o := range proc.tasks {
		pc, err := ptrace.PC(o.tid)
		if err != nil {
			return err
		}
		if at, num, ok := calls(pc); ok && num {
			// It stands before its call, behind the instruction that sets the number: that
			// again.
			if err := ptrace.SetPC(o.tid, at); err != nil {
				return err
			}
		}
	}
	inside := func(pc uint64) bool {
		if _, _, ok := calls(pc); ok {
			return true
		}
		for _, p := range proc.pauses.find {
			for _, s := range p.sites {
				if at := p.bias + s.Vaddr; pc > at && pc < at+uint64(s.Len()) {
					return true
				}
			}
		}
		return false
	}
	return r.stepOut(proc, inside)
}

// mostSteps bounds how far a thread is stepped.
const mostSteps = 10_000

// stepOut steps the threads of a process until none is inside something.
func (r *recorder) stepOut(p *process, inside func(pc uint64) bool) error {
	for _, o := range p.tasks {
		for n := 0; ; n++ {
			pc, err := ptrace.PC(o.tid)
			if err != nil {
				return err
			}
			if !inside(pc) {
				break
			}
			if n == mostSteps {
				return fmt.Errorf("thread %d does not leave the code at %#x", o.tid, pc)
			}
			if err := ptrace.Step(o.tid, 0); err != nil {
				return err
			}
			st, err := r.waitSync(o)
			if err != nil {
				return err
			}
			if sig := st.StopSignal(); ptrace.Event(st) == 0 && sig != unix.SIGTRAP {
				o.sigstop = int(sig)
				if ptrace.GetSigInfo(o.tid, &o.info) == nil {
					r.deferSignal(o)
				}
			}
		}
	}
	return nil
}

// readActions reads what the process does about the signals of traps.
func (r *recorder) readActions(t *task) error {
	p := t.proc
	at := p.area.Scratch()
	for _, sig := range trapSignals {
		ret, err := r.inject(t, p.area.Gadget, sys.SYS_RT_SIGACTION, uint64(sig), 0, at, 8, 0, 0)
		if err != nil {
			return err
		}
		var act [sigactionSize]byte
		if ret != 0 || (ptrace.Mem)(t.tid).ReadAt(act[:], at) != nil {
			return fmt.Errorf("read what it does about signal %d: result %d", sig, ret)
		}
		if binary.LittleEndian.Uint64(act[:]) != 0 {
			if p.actions == nil {
				p.actions = actions{}
			}
			p.actions[sig] = act
		}
	}
	return nil
}

// adopt reads what the kernel keeps for a thread, and takes from it what would
// differ in a replay.
func (r *recorder) adopt(t *task) error {
	if err := r.noteMask(t); err != nil {
		return err
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(t.tid, &set); err == nil && set != r.cpus {
		b := make([]byte, len(set)*8)
		for i, w := range set {
			binary.LittleEndian.PutUint64(b[i*8:], uint64(w))
		}
		t.affinity = b
	}
	// From here on beside the tracer: a stop costs a tenth of what it costs elsewhere.
	setAffinity(t.tid, t.proc.cpu)
	at := t.proc.area.Scratch()
	if ret, err := r.inject(t, t.proc.area.Gadget, sys.SYS_PRCTL, unix.PR_GET_TID_ADDRESS, at, 0, 0, 0, 0); err != nil {
		return err
	} else if ret == 0 {
		if t.ctid, err = readU64(t.tid, at); err != nil {
			return err
		}
	}
	t.robust = ptrace.RobustList(t.tid)
	return r.endRseq(t)
}

// noCPU is RSEQ_CPU_ID_REGISTRATION_FAILED (linux/rseq.h), which makes who looks
// for the processor there ask the kernel.
const noCPU = -2

// endRseq ends restartable sequences of a thread: the kernel writes on which
// processor it runs into its memory whenever it likes.
func (r *recorder) endRseq(t *task) error {
	c, ok := ptrace.Rseq(t.tid)
	if !ok || c.Addr == 0 {
		return nil
	}
	const unregister = 1
	ret, err := r.inject(t, t.proc.area.Gadget, sys.SYS_RSEQ, c.Addr, uint64(c.Size), unregister, uint64(c.Signature), 0, 0)
	if err != nil {
		return err
	}
	if ret != 0 {
		return fmt.Errorf("end its restartable sequences: %w", errnoOf(ret))
	}
	t.rseq = c
	var b [8]byte // cpu_id_start and cpu_id
	failed := int32(noCPU)
	binary.LittleEndian.PutUint32(b[4:], uint32(failed))
	return ptrace.Write(t.tid, c.Addr, b[:])
}

// registersAsBefore reports whether a thread registers restartable sequences because those
// of its process had some when pyrr attached: it was being made just then. glibc ends the
// program where that fails, so it is answered, and done when the thread is let go.
func (r *recorder) registersAsBefore(t *task) bool {
	if t.ev.Nr != sys.SYS_RSEQ || t.ev.Args[2] != 0 || !r.attached {
		return false
	}
	for _, o := range t.proc.tasks {
		if o.rseq.Addr != 0 {
			t.rseq = ptrace.RseqConfig{Addr: t.ev.Args[0], Size: uint32(t.ev.Args[1]), Signature: uint32(t.ev.Args[3])}
			return true
		}
	}
	return false
}

// beginRseq gives a thread that is let go its restartable sequences back.
func (r *recorder) beginRseq(t *task) {
	if t.rseq.Addr == 0 || t.proc == nil || t.proc.area == nil {
		return
	}
	c := t.rseq
	t.rseq = ptrace.RseqConfig{}
	defer r.unfiltered(t.proc, t.tid)()
	// An error leaves it without, which programs have to bear.
	_, _ = ptrace.InjectStops(t.tid, t.proc.area.Gadget, sys.SYS_RSEQ, [6]uint64{c.Addr, uint64(c.Size), 0, uint64(c.Signature)}, func(st unix.WaitStatus) error {
		return r.injectedStop(t, st)
	})
}
