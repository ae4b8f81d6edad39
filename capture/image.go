package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"pyrr/cpython"
	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
	"pyrr/internal/sys"
)

const pageSize = 4096

// areaBase is where the engine area lies in every recorded process: between
// the region of position independent executables (0x55…) and that of mmap
// (0x7e… and up), where the kernel places nothing by itself.
const areaBase = 0x700000000000

// patch is an instruction that was replaced by a trap.
type patch struct{ site inject.Site }

func (r *recorder) emulate(t *task, p patch, regs *linux.Regs) {
	inject.Emulate(p.site, r.cpu, t.proc.area, regs)
}

// isPython reports whether the program at path is worth recording.
func (r *recorder) isPython(path string) bool {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return false
	}
	key := programKey(&st)
	is, known := r.pythons[key]
	if !known {
		var pypy bool
		is, pypy = cpython.WhichPython(path)
		r.pypy = r.pypy || pypy
		if r.pythons == nil {
			r.pythons = map[[3]uint64]bool{}
		}
		r.pythons[key] = is
	}
	return is
}

// startImage prepares a freshly executed process and opens its log with the
// image that it starts from. t is at the exit of its execve.
func (r *recorder) startImage(t *task, parent int, parentEvent uint64) error {
	p := t.proc
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", t.pid))
	if err != nil {
		return fmt.Errorf("find the program of process %d: %w", t.pid, err)
	}
	p.exe = strings.TrimSuffix(exe, " (deleted)")
	p.argv, p.env = procStrings(t.pid, "cmdline"), procStrings(t.pid, "environ")
	var regs linux.Regs
	if err := ptrace.GetRegs(t.tid, &regs); err != nil {
		return err
	}
	maps, err := linux.ReadMaps(t.pid)
	if err != nil {
		return err
	}
	ev := &recording.Event{Kind: recording.KindStart, TID: int32(t.tid), Open: openFDs(t.pid)}
	cwd, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", t.pid))
	proc := &recording.Process{
		ID: p.id, PID: t.pid, Parent: parent, ParentEvent: parentEvent,
		Exe: p.exe, Argv: p.argv, Env: p.env, Cwd: cwd,
		Start: r.start.UnixNano() + r.since(), StackLimit: stackLimit(t.pid),
	}
	ev.Proc = proc

	if err := r.mapArea(t, regs.PC(), maps, proc); err != nil {
		return err
	}
	p.brk = proc.Brk
	if err := r.stopJIT(t, regs.SP()); err != nil {
		return err
	}
	if plugin := r.plugin(p.argv); plugin != "" && r.isPython(p.exe) {
		if err := r.addToPath(t, plugin, &regs); err != nil {
			if runsPytest(p.argv) {
				r.warnf("pyrr's plugin for pytest is not added, so %s: %v", r.withoutPlugin(), err)
			}
		} else {
			r.runnerBegins(p)
		}
	}
	if err := r.patchAuxv(t, regs.SP()); err != nil {
		return err
	}
	iw := newImageWriter(t.pid, ev)
	defer iw.close()
	for _, m := range maps {
		if err := r.addImageMapping(t, iw, m); err != nil {
			return err
		}
	}
	for _, m := range p.area.Maps {
		ev.Maps = append(ev.Maps, recording.Mapping{Start: m.Addr, End: m.Addr + m.Len, Prot: uint32(m.Prot), Name: nameArea})
	}
	for _, w := range p.area.Writes {
		ev.Mem = append(ev.Mem, recording.Write{Addr: w.Addr, Data: w.Data})
	}
	c := &p.area.Time
	ev.Args = recording.Area{Base: p.area.Base, FnCell: c.FnCell, Count: c.Count, Buf: c.Buf, Cap: uint64(c.Cap), Replay: c.Replay}.Words()
	ev.Regs = &regs
	if ev.XState, err = r.xstateOf(t.tid); err != nil {
		return err
	}
	r.openStream(p)
	for _, m := range maps {
		if m.Prot&unix.PROT_EXEC != 0 && m.Ino != 0 {
			if err := errors.Join(r.codeIn(t, ev, &m), r.answerJIT(t, ev, m.Start, m.End)); err != nil {
				return err
			}
		}
	}
	proc.Python = p.python
	r.log(p, ev)
	if err := r.installPauses(t); err != nil {
		return err
	}
	return r.installClock(t)
}

// mapArea maps the engine area. The calls for that run at the program's own
// first instruction, which is borrowed for them.
func (r *recorder) mapArea(t *task, entry uint64, maps []linux.Mapping, proc *recording.Process) error {
	var vdso []byte
	var vdsoBase uint64
	for _, m := range maps {
		if m.Path == "[vdso]" {
			vdsoBase = m.Start
			vdso = make([]byte, m.End-m.Start)
			if err := (ptrace.Mem)(t.tid).ReadAt(vdso, m.Start); err != nil {
				return fmt.Errorf("read the vDSO: %w", err)
			}
		}
	}
	area, err := inject.Build(areaBase, vdso, vdsoBase)
	if err != nil {
		return err
	}
	orig := make([]byte, len(ptrace.Gadget))
	if err := (ptrace.Mem)(t.tid).ReadAt(orig, entry); err != nil {
		return fmt.Errorf("read the first instruction: %w", err)
	}
	if err := ptrace.Write(t.tid, entry, ptrace.Gadget); err != nil {
		return err
	}
	var ret int64
	if !r.attached || !slices.ContainsFunc(maps, func(m linux.Mapping) bool { return m.Start == area.Base }) {
		// Executable from the start: what may not be so later is then written to all the
		// same (PR_SET_MDWE, systemd's MemoryDenyWriteExecute).
		ret, err = r.inject(t, entry, sys.SYS_MMAP, area.Base, inject.AreaSize, unix.PROT_READ|unix.PROT_EXEC,
			unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED_NOREPLACE, ^uint64(0), 0)
		if err == nil && uint64(ret) != area.Base {
			err = fmt.Errorf("map the engine area at %#x: %w", area.Base, errnoOf(ret))
		}
	} else {
		err = ptrace.WriteU64(t.tid, area.Time.Count, 0) // it is there since pyrr attached before
	}
	for _, m := range area.Maps {
		if err == nil && m.Prot != unix.PROT_READ|unix.PROT_EXEC {
			ret, err = r.inject(t, entry, sys.SYS_MPROTECT, m.Addr, m.Len, uint64(m.Prot), 0, 0, 0)
			if err == nil && ret != 0 {
				err = fmt.Errorf("protect the engine area: %w", errnoOf(ret))
			}
		}
	}
	if err == nil {
		ret, err = r.inject(t, entry, sys.SYS_BRK, 0, 0, 0, 0, 0, 0)
		proc.Brk = uint64(ret)
	}
	if werr := ptrace.Write(t.tid, entry, orig); err == nil {
		err = werr
	}
	if err != nil {
		return err
	}
	t.proc.area = area
	return ptrace.WriteV(t.tid, spansOf(area.Writes))
}

// spansOf makes one write of many: those to code pages cost a file to open,
// all together once.
func spansOf(writes []inject.Write) []ptrace.Span {
	out := make([]ptrace.Span, len(writes))
	for i, w := range writes {
		out[i] = ptrace.Span(w)
	}
	return out
}

// inject makes a stopped thread execute a system call of pyrr's. Signals
// that arrive meanwhile are kept for later.
func (r *recorder) inject(t *task, pc, nr uint64, a0, a1, a2, a3, a4, a5 uint64) (int64, error) {
	if err := r.endDispatch(t); err != nil {
		return 0, err
	}
	defer r.unfiltered(t.proc, t.tid)()
	args, other := [6]uint64{a0, a1, a2, a3, a4, a5}, func(st unix.WaitStatus) error { return r.injectedStop(t, st) }
	if !r.attached && t.proc != nil && len(t.proc.tasks) == 1 {
		return ptrace.InjectStops(t.tid, pc, nr, args, other) // which takes fewer calls
	}
	return ptrace.InjectStopsBy(r.waits.For, t.tid, pc, nr, args, other)
}

// injectedStop keeps a signal that arrives during an injected call for later.
func (r *recorder) injectedStop(t *task, st unix.WaitStatus) error {
	if ptrace.Event(st) != 0 {
		return nil
	}
	t.sigstop = int(st.StopSignal())
	if err := ptrace.GetSigInfo(t.tid, &t.info); err != nil {
		return err
	}
	r.deferSignal(t)
	return nil
}

func errnoOf(ret int64) error {
	if ret < 0 && ret > -4096 {
		return unix.Errno(-ret)
	}
	return fmt.Errorf("result %#x", uint64(ret))
}

// patchAuxv points the program's AT_SYSINFO_EHDR at the stand-in vDSO, and takes from
// AT_HWCAP2 what is hidden of the processor. The auxiliary vector lies above the
// environment on the fresh stack (System V ABI x86-64, 3.4.3).
func (r *recorder) patchAuxv(t *task, sp uint64) error {
	const maxWords = 1 << 18
	m := ptrace.Mem(t.tid)
	var b [8]byte
	word := func(a uint64) (uint64, error) {
		err := m.ReadAt(b[:], a)
		return binary.LittleEndian.Uint64(b[:]), err
	}
	argc, err := word(sp)
	if err != nil {
		return fmt.Errorf("read the initial stack: %w", err)
	}
	at := sp + 8*(argc+2)
	for n := 0; ; n++ {
		v, err := word(at)
		if err != nil || n > maxWords {
			return fmt.Errorf("read the environment on the stack: %w", err)
		}
		at += 8
		if v == 0 {
			break
		}
	}
	const atHwcap2, atSysinfoEhdr = 26, 33 // linux/auxvec.h
	for n := 0; n < 64; n++ {
		tag, err := word(at)
		if err != nil {
			return fmt.Errorf("read the auxiliary vector: %w", err)
		}
		if tag == 0 {
			break
		}
		switch tag {
		case atSysinfoEhdr:
			err = ptrace.WriteU64(t.tid, at+8, r.areaVdso(t))
		case atHwcap2:
			var v uint64
			if v, err = word(at + 8); err == nil {
				err = ptrace.WriteU64(t.tid, at+8, r.cpu.Hwcap2(v))
			}
		}
		if err != nil {
			return fmt.Errorf("write the auxiliary vector: %w", err)
		}
		at += 16
	}
	return nil
}

func (r *recorder) areaVdso(t *task) uint64 { return t.proc.area.VdsoBase }

// addImageMapping adds one mapping of the fresh program to the image.
func (r *recorder) addImageMapping(t *task, iw *imageWriter, m linux.Mapping) error {
	ev := iw.ev
	if m.Path == "[vdso]" || m.Path == "[vsyscall]" || strings.HasPrefix(m.Path, "[vvar") {
		return nil
	}
	rm := recording.Mapping{Start: m.Start, End: m.End, Prot: m.Prot, Name: m.Path}
	if m.Ino == 0 {
		ev.Maps = append(ev.Maps, rm)
		return iw.pages(&m, nil)
	}
	f := openMapped(&m, t.pid)
	if f == nil {
		ev.Maps = append(ev.Maps, rm)
		return iw.pages(&m, nil)
	}
	defer f.Close()
	id, err := r.addFile(t.proc, f, m.Path, m.Off+(m.End-m.Start))
	if err != nil {
		return err
	}
	rm.File, rm.Offset = id, m.Off
	ev.Maps = append(ev.Maps, rm)
	if m.Prot&unix.PROT_WRITE == 0 {
		return nil
	}
	return iw.pages(&m, f)
}

// addPages adds the pages of a span that are not zeros.
func (r *recorder) addPages(t *task, ev *recording.Event, start, end uint64) error {
	const chunk = 1 << 20
	zero := make([]byte, pageSize)
	for at := start; at < end; at += chunk {
		n := min(chunk, end-at)
		b := make([]byte, n)
		if err := (ptrace.Mem)(t.tid).ReadAt(b, at); err != nil {
			if ptrace.Gone(err) {
				return err
			}
			// Beyond the end of a file: page by page, leaving holes.
			b = b[:0]
			for p := at; p < at+n; p += pageSize {
				page := make([]byte, pageSize)
				if (ptrace.Mem)(t.tid).ReadAt(page, p) != nil {
					copy(page, zero)
				}
				b = append(b, page...)
			}
		}
		run := -1
		for off := 0; off <= len(b); off += pageSize {
			same := off == len(b) || bytes.Equal(b[off:off+pageSize], zero)
			if !same && run < 0 {
				run = off
			}
			if same && run >= 0 {
				ev.Mem = append(ev.Mem, recording.Write{Addr: at + uint64(run), Data: b[run:off]})
				run = -1
			}
		}
	}
	return nil
}

func isEOF(err error) bool { return errors.Is(err, errEOF) }

// addFile registers a mapped file with the recording.
func (r *recorder) addFile(p *process, f *os.File, name string, upto uint64) (recording.FileID, error) {
	if p.ep == nil {
		return 0, nil // nothing is written
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return 0, fmt.Errorf("stat %s: %w", name, err)
	}
	return p.ep.w.AddFile(name, int(f.Fd()), st, wantedOf(f, &st, upto))
}

// maxSections bounds the interpreter that is kept with its sections.
const maxSections = 128 << 20

// wantedOf is how much of a mapped file is kept: what is mapped, and all of an interpreter
// whose symbols are in sections alone.
func wantedOf(f *os.File, st *unix.Stat_t, upto uint64) uint64 {
	if size := uint64(max(st.Size, 0)); upto < size && size <= maxSections && cpython.LinkedStatically(f) {
		return size
	}
	return upto
}
