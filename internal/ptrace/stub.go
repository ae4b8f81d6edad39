//go:build linux

package ptrace

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/sys"
)

//go:linkname runtimeBeforeFork syscall.runtime_BeforeFork
func runtimeBeforeFork()

//go:linkname runtimeAfterFork syscall.runtime_AfterFork
func runtimeAfterFork()

//go:linkname runtimeAfterForkInChild syscall.runtime_AfterForkInChild
func runtimeAfterForkInChild()

// closeRange numbers close_range(2), which keeps the stub from holding any
// file of pyrr's open but those from keepFrom on.
const closeRange = 436

// stubOptions leave out EXEC and VFORK: a stub can't make those calls.
const stubOptions = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_EXITKILL

// StartStub makes a process to replay in. Its address space holds nothing
// but the gadget at address gadget, one page long. It has no
// open files below keepFrom, can't gain privileges, and a seccomp filter kills it for
// any system call that does more than change its own address space, make and end
// threads of its own, or fork; and what it forks stays traced. It leaves no core file.
//
// The stub is a fork of pyrr itself that is then emptied: nothing has to be
// executed, so no file and no /proc is needed.
func StartStub(gadget uint64, keepFrom int) (int, error) {
	filter := stubFilter()
	prog := &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	pid, err := forkStub(prog, keepFrom)
	if err != nil {
		return 0, fmt.Errorf("fork a stub: %w", err)
	}
	if err := emptyStub(pid, gadget); err != nil {
		Kill(pid)
		WaitFor(pid)
		return 0, fmt.Errorf("prepare stub %d: %w", pid, err)
	}
	return pid, nil
}

// forkStub forks; the child never returns from it. Between fork and the end
// of the child only raw system calls are made, on a stack that can't grow.
//
//go:noinline
//go:norace
func forkStub(prog *unix.SockFprog, keepFrom int) (int, error) {
	ppid := syscall.Getpid()
	runtimeBeforeFork()
	pid, _, e := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if e != 0 {
		runtimeAfterFork()
		return 0, e
	}
	if pid != 0 {
		runtimeAfterFork()
		return int(pid), nil
	}
	runtimeAfterForkInChild()
	stubChild(prog, uintptr(keepFrom), uintptr(ppid))
	return 0, nil
}

//go:nosplit
//go:norace
func stubChild(prog *unix.SockFprog, keepFrom, ppid uintptr) {
	syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0, 0)
	if p, _, _ := syscall.RawSyscall(unix.SYS_GETPPID, 0, 0, 0); p != ppid {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 1, 0, 0)
	}
	syscall.RawSyscall(unix.SYS_SETSID, 0, 0, 0)
	if _, _, e := syscall.RawSyscall(closeRange, 0, keepFrom-1, 0); e != 0 {
		// Before Linux 5.9, or a filter that is older refuses it.
		for fd := uintptr(0); fd < keepFrom; fd++ {
			syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
		}
	}
	var none unix.Rlimit
	syscall.RawSyscall(unix.SYS_SETRLIMIT, unix.RLIMIT_CORE, uintptr(unsafe.Pointer(&none)), 0)
	syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	_, _, e := syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(prog)), 0, 0, 0)
	if e != 0 {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 2, 0, 0)
	}
	for {
		syscall.RawSyscall(idleCall, 0, 0, 0)
	}
}

// emptyStub seizes the child where it waits and unmaps all but the gadget.
func emptyStub(pid int, gadget uint64) error {
	if err := Seize(pid, stubOptions); err != nil {
		return fmt.Errorf("seize: %w", err)
	}
	if err := Interrupt(pid); err != nil {
		return fmt.Errorf("interrupt: %w", err)
	}
	var r linux.Regs
	for {
		_, st, err := WaitFor(pid)
		if err != nil {
			return fmt.Errorf("wait: %w", err)
		}
		if !st.Stopped() {
			return fmt.Errorf("the stub %s (seccomp filters may not be permitted here)", Describe(st))
		}
		if st.StopSignal() == SyscallStop {
			if err := GetRegs(pid, &r); err != nil {
				return fmt.Errorf("read registers: %w", err)
			}
			if r.Number() == idleCall && r.Result() == -int64(unix.ENOSYS) {
				break
			}
		}
		if err := Syscall(pid, 0); err != nil {
			return fmt.Errorf("resume: %w", err)
		}
	}
	// Turn its call into a munmap(0, 0), which fails at once (the filter
	// would kill for call -1), then use its syscall instruction.
	if err := SetNumber(pid, sys.SYS_MUNMAP); err != nil {
		return fmt.Errorf("skip its call: %w", err)
	}
	if err := Syscall(pid, 0); err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	if _, st, err := WaitFor(pid); err != nil || !st.Stopped() {
		return fmt.Errorf("wait after its call: %v, %w", Describe(st), err)
	}
	at := linux.BeforeCallAt(r.PC())
	if err := Write(pid, at, Gadget); err != nil {
		return fmt.Errorf("write a first gadget: %w", err)
	}
	const page = 4096
	ret, err := Inject(pid, at, sys.SYS_MMAP, [6]uint64{gadget, page, unix.PROT_READ | unix.PROT_EXEC,
		unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED, ^uint64(0), 0}, nil)
	if err != nil || uint64(ret) != gadget {
		return fmt.Errorf("map the gadget: result %d: %w", ret, err)
	}
	if err := Write(pid, gadget, Gadget); err != nil {
		return fmt.Errorf("write the gadget: %w", err)
	}
	if err := dropRseq(pid, gadget); err != nil {
		return err
	}
	const top = 0x7fffffff000 << 4
	for _, span := range [][2]uint64{{0, gadget}, {gadget + page, top}} {
		if ret, err := Inject(pid, gadget, sys.SYS_MUNMAP, [6]uint64{span[0], span[1] - span[0]}, nil); err != nil || ret != 0 {
			return fmt.Errorf("unmap %#x-%#x: result %d: %w", span[0], span[1], ret, err)
		}
	}
	return nil
}

// dropRseq takes back the registration of restartable sequences (rseq(2))
// that the C library makes in a pyrr that is linked with one: its memory goes
// away, and the kernel would end the stub for that.
func dropRseq(pid int, gadget uint64) error {
	const reqGetRseq, unregister = 0x420f, 1
	var conf struct {
		addr                  uint64
		size, sig, flags, pad uint32
	}
	if err := callPtr(reqGetRseq, pid, unsafe.Sizeof(conf), unsafe.Pointer(&conf)); err != nil || conf.addr == 0 {
		return nil // nothing registered, or a kernel too old to tell
	}
	ret, err := Inject(pid, gadget, sys.SYS_RSEQ, [6]uint64{conf.addr, uint64(conf.size), unregister, uint64(conf.sig)}, nil)
	if err != nil || ret != 0 {
		return fmt.Errorf("unregister restartable sequences: result %d: %w", ret, err)
	}
	return nil
}

// stubAllowed are the calls that a replayed process may really make, all of
// them injected: they change its own address space or its own threads. A clone
// may have the flags of stubClones alone: no other namespace, nothing untraced.
var (
	stubAllowed = []uint32{
		unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_MPROTECT, unix.SYS_MREMAP, unix.SYS_MADVISE,
		unix.SYS_EXIT, idleCall, unix.SYS_RSEQ,
	}
	stubClones = []uint32{CloneFork, CloneThread}
)

// Flags of clone(2) with which a stub makes others.
const (
	CloneFork   = 0
	CloneThread = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD | unix.CLONE_SYSVSEM
)

func stubFilter() []unix.SockFilter {
	const (
		ld  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		jeq = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ret = unix.BPF_RET | unix.BPF_K
	)
	f := []unix.SockFilter{
		{Code: ld, K: 4}, // seccomp_data.arch
		{Code: jeq, Jt: 1, K: auditArch},
		{Code: ret, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: ld, K: 0}, // seccomp_data.nr
	}
	for _, nr := range stubAllowed {
		f = append(f,
			unix.SockFilter{Code: jeq, Jf: 1, K: nr},
			unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW})
	}
	// Its own system calls never come here, but those of the vsyscall page do: the kernel
	// asks the filter alone, and no tracer.
	for _, nr := range vsyscalls {
		f = append(f,
			unix.SockFilter{Code: jeq, Jf: 1, K: nr},
			unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_TRAP})
	}
	kill := unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_KILL_PROCESS}
	f = append(f,
		unix.SockFilter{Code: jeq, Jt: 1, K: unix.SYS_CLONE}, kill,
		unix.SockFilter{Code: ld, K: 16 + 4}, // the upper half of args[0]
		unix.SockFilter{Code: jeq, Jt: 1, K: 0}, kill,
		unix.SockFilter{Code: ld, K: 16})
	for _, flags := range stubClones {
		f = append(f,
			unix.SockFilter{Code: jeq, Jf: 1, K: flags},
			unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW})
	}
	return append(f, kill)
}
