//go:build linux && amd64

package probe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// trial is one thing tried on the traced child.
type trial struct {
	id, title string
	need      Need
	try       func(*child) error
}

// trials run in this order on one child; the first two make the child what
// the others need.
var trials = []trial{
	{Seize, "attach to a running process (PTRACE_SEIZE)", NeedRecord, (*child).seize},
	{ReadMemory, "read another process's memory (process_vm_readv)", NeedBoth, tryRead},
	{WriteMemory, "write read-only memory through /proc/PID/mem", NeedBoth, tryWrite},
	{ThreadState, "registers, vector state and signal mask of a thread", NeedBoth, tryState},
	{SyscallInfo, "PTRACE_GET_SYSCALL_INFO", NeedBoth, trySyscallInfo},
	{Dispatch, "system calls told apart by where they are made (Syscall User Dispatch)", NeedSpeed, tryDispatch},
	{Sysemu, "system calls stopped before they happen (PTRACE_SYSEMU)", NeedReplay, trySysemu},
	{SeccompFilter, "a seccomp filter around a replayed program", NeedReplay, trySeccomp},
}

// wrong is a trial that ran and gave something else than Linux documents; it
// counts as unsupported.
type wrong string

func (w wrong) Error() string { return string(w) }

// traceFeatures starts a child, traces it and runs the trials.
func traceFeatures(env *environment) []Feature {
	first := Feature{ID: TraceMe, Title: "trace a child from its start (PTRACE_TRACEME)", Need: NeedBoth}
	// ptrace takes requests from the tracing OS thread only.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := startTraced()
	if err == nil {
		defer c.kill()
		err = c.install()
	}
	explain(env, &first, err)
	out := []Feature{first}
	for _, t := range trials {
		f := Feature{ID: t.id, Title: t.title, Need: t.need}
		switch {
		case first.Answer != Yes:
			f.Reason = "not tried, because a child could not be traced"
		case t.id != Seize && out[1].Answer != Yes:
			f.Reason = "not tried, because attaching failed"
		default:
			c.how = ""
			explain(env, &f, t.try(c))
			f.Value = c.how
		}
		out = append(out, f)
	}
	return out
}

// explain turns the outcome of a trial into an answer.
func explain(env *environment, f *Feature, err error) {
	var w wrong
	var errno syscall.Errno
	switch {
	case err == nil:
		f.Answer = Yes
	case errors.As(err, &w):
		f.Answer, f.Reason = Unsupported, err.Error()
	case errors.As(err, &errno):
		f.Answer, f.Reason, f.Remedy = env.refused(f.Title, errno)
	default:
		f.Reason = err.Error()
	}
}

// tryRead reads the code that install wrote.
func tryRead(c *child) error {
	got := make([]byte, len(code))
	local := []unix.Iovec{{Base: &got[0], Len: uint64(len(got))}}
	remote := []unix.RemoteIovec{{Base: uintptr(pcOf(&c.regs)), Len: len(got)}}
	if _, err := unix.ProcessVMReadv(c.pid, local, remote, 0); err != nil {
		return fmt.Errorf("process_vm_readv: %w", err)
	}
	if !bytes.Equal(got, code) {
		return wrong(fmt.Sprintf("process_vm_readv read % x where % x was written", got, code))
	}
	return nil
}

// tryWrite writes the page of the first instruction, which is mapped without
// PROT_WRITE. From Linux 6.12 on a machine may forbid this
// (proc_mem.force_override= in the kernel's parameters).
func tryWrite(c *child) error {
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", c.pid), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	// Behind the code, where nothing ever runs.
	at := int64(pcOf(&c.regs)) + int64(len(code))
	want := []byte{0x90}
	if _, err := f.WriteAt(want, at); err != nil {
		return err
	}
	got := make([]byte, 1)
	if _, err := f.ReadAt(got, at); err != nil {
		return err
	}
	if got[0] != want[0] {
		return wrong("a write through /proc/PID/mem had no effect")
	}
	return nil
}

// tryState reads the vector registers (a saved signal frame holds them) and
// the signal mask.
func tryState(c *child) error {
	buf := make([]byte, 16<<10)
	iov := unix.Iovec{Base: &buf[0], Len: uint64(len(buf))}
	if err := c.ptrace(unix.PTRACE_GETREGSET, ntX86XState, uintptr(unsafe.Pointer(&iov))); err != nil {
		return fmt.Errorf("PTRACE_GETREGSET: %w", err)
	}
	// The legacy area and the header of XSAVE are 512+64 bytes.
	if iov.Len < 576 {
		return wrong(fmt.Sprintf("PTRACE_GETREGSET gave %d bytes of vector state, less than XSAVE's header", iov.Len))
	}
	var mask uint64
	err := c.ptrace(ptraceGetSigmask, unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)))
	runtime.KeepAlive(&mask)
	if err != nil {
		return fmt.Errorf("PTRACE_GETSIGMASK: %w", err)
	}
	return nil
}

// The operations of struct ptrace_syscall_info.
const syscallInfoEntry = 1 // PTRACE_SYSCALL_INFO_ENTRY

// syscallStop is the stop signal of a syscall stop under
// PTRACE_O_TRACESYSGOOD.
const syscallStop = unix.SIGTRAP | 0x80

// trySyscallInfo stops the child at the entry of a getppid and asks what it
// is about to do, then lets it happen.
func trySyscallInfo(c *child) error {
	regs := c.regs
	setCall(&regs, unix.SYS_GETPPID, []uint64{1, 2, 3, 4, 5, 6})
	if err := unix.PtraceSetRegs(c.pid, &regs); err != nil {
		return fmt.Errorf("PTRACE_SETREGS: %w", err)
	}
	if err := c.resume(unix.PTRACE_SYSCALL, syscallStop); err != nil {
		return fmt.Errorf("PTRACE_SYSCALL: %w", err)
	}
	info, infoErr := c.syscallInfo()
	if err := c.resume(unix.PTRACE_CONT, unix.SIGTRAP); err != nil {
		return fmt.Errorf("PTRACE_CONT: %w", err)
	}
	if infoErr != nil {
		return fmt.Errorf("PTRACE_GET_SYSCALL_INFO: %w", infoErr)
	}
	if info.Op != syscallInfoEntry || info.Nr != unix.SYS_GETPPID || info.Args != [6]uint64{1, 2, 3, 4, 5, 6} {
		return wrong(fmt.Sprintf("PTRACE_GET_SYSCALL_INFO described getppid as %+v", info))
	}
	ppid, err := c.result()
	if err != nil {
		return err
	}
	if ppid != int64(os.Getpid()) {
		return wrong(fmt.Sprintf("an injected getppid returned %d, not %d", ppid, os.Getpid()))
	}
	return nil
}

// trySysemu has the child ask for its parent's id, keeps the call from
// happening and answers it.
func trySysemu(c *child) error {
	const answer = 0x7079
	regs := c.regs
	setCall(&regs, unix.SYS_GETPPID, nil)
	if err := unix.PtraceSetRegs(c.pid, &regs); err != nil {
		return fmt.Errorf("PTRACE_SETREGS: %w", err)
	}
	if err := c.resume(ptraceSysemu, syscallStop); err != nil {
		return fmt.Errorf("PTRACE_SYSEMU: %w", err)
	}
	if err := unix.PtraceGetRegs(c.pid, &regs); err != nil {
		return fmt.Errorf("PTRACE_GETREGS: %w", err)
	}
	setResult(&regs, answer)
	if err := unix.PtraceSetRegs(c.pid, &regs); err != nil {
		return fmt.Errorf("PTRACE_SETREGS: %w", err)
	}
	if err := c.resume(ptraceSysemu, unix.SIGTRAP); err != nil {
		return fmt.Errorf("PTRACE_SYSEMU: %w", err)
	}
	got, err := c.result()
	if err != nil {
		return err
	}
	if got != answer {
		return wrong(fmt.Sprintf("PTRACE_SYSEMU: the call's result was %d, not the tracer's %d", got, answer))
	}
	return nil
}

// trySeccomp installs a filter in the child under which every call fails with
// one errno, and makes a call.
func trySeccomp(c *child) error {
	const errno = 77
	if r, err := c.call(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1); err != nil || r != 0 {
		return callFailed("prctl(PR_SET_NO_NEW_PRIVS)", r, err)
	}
	// struct sock_fprog at sp, then its one struct sock_filter: return errno.
	sp := (stackOf(&c.regs) - 256) &^ 15
	prog := make([]byte, 24)
	binary.LittleEndian.PutUint16(prog[0:], 1)
	binary.LittleEndian.PutUint64(prog[8:], sp+16)
	binary.LittleEndian.PutUint16(prog[16:], unix.BPF_RET|unix.BPF_K)
	binary.LittleEndian.PutUint32(prog[20:], unix.SECCOMP_RET_ERRNO|errno)
	if _, err := unix.PtracePokeData(c.pid, uintptr(sp), prog); err != nil {
		return fmt.Errorf("PTRACE_POKEDATA: %w", err)
	}
	if r, err := c.call(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, sp); err != nil || r != 0 {
		return callFailed("seccomp(SECCOMP_SET_MODE_FILTER)", r, err)
	}
	r, err := c.call(unix.SYS_GETPPID)
	if err != nil {
		return err
	}
	if r != -errno {
		return wrong(fmt.Sprintf("a call that the seccomp filter refuses returned %d", r))
	}
	return nil
}

// callFailed is the error of an injected call: of tracing, or of the call.
func callFailed(name string, result int64, err error) error {
	if err == nil {
		err = syscall.Errno(-result)
	}
	return fmt.Errorf("%s: %w", name, err)
}
