package ptrace

import (
	"encoding/binary"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
)

// A thread may be interrupted right behind a trap, whose signal is pending then, and
// right before a system call. Both can be told.
func TestBehindTrapAndBeforeCall(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, err := Start("/bin/true", []string{"true"}, nil, "/", StdFiles(), Options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		unix.Kill(pid, unix.SIGKILL)
		WaitFor(pid)
	}()
	var regs linux.Regs
	if err := GetRegs(pid, &regs); err != nil {
		t.Fatal(err)
	}
	if err := Write(pid, regs.Rip, Gadget); err != nil {
		t.Fatal(err)
	}
	if AtEntry(pid) || PendingTrap(pid) {
		t.Error("a program that has not begun makes a call, or ran into something")
	}

	// What the kernel does at an int3: it sends SIGTRAP with SI_KERNEL.
	var info SigInfo
	const siKernel = 0x80
	binary.LittleEndian.PutUint32(info[0:], uint32(unix.SIGTRAP))
	binary.LittleEndian.PutUint32(info[8:], siKernel)
	at := regs.Rsp - 4096
	if err := Write(pid, at, info[:]); err != nil {
		t.Fatal(err)
	}
	ret, err := InjectStops(pid, regs.Rip, unix.SYS_RT_TGSIGQUEUEINFO, [6]uint64{uint64(pid), uint64(pid), uint64(unix.SIGTRAP), at}, nil)
	if err != nil || ret != 0 {
		t.Fatalf("send itself a trap: %d, %v", ret, err)
	}
	if err := Interrupt(pid); err != nil {
		t.Fatal(err)
	}
	next := func(resume func(tid, sig int) error) unix.WaitStatus {
		t.Helper()
		if err := resume(pid, 0); err != nil {
			t.Fatal(err)
		}
		_, st, err := WaitFor(pid)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	if st := next(Cont); Event(st) != unix.PTRACE_EVENT_STOP || !PendingTrap(pid) {
		t.Errorf("interrupted behind a trap: %s, the trap is pending: %v", Describe(st), PendingTrap(pid))
	}
	if st := next(Cont); Event(st) != 0 || st.StopSignal() != unix.SIGTRAP || PendingTrap(pid) {
		t.Errorf("the trap itself: %s", Describe(st))
	}

	regs.Rax = unix.SYS_GETPID
	if err := SetRegs(pid, &regs); err != nil {
		t.Fatal(err)
	}
	if st := next(Syscall); st.StopSignal() != SyscallStop || !AtEntry(pid) {
		t.Errorf("before a call: %s", Describe(st))
	}
	if st := next(Syscall); st.StopSignal() != SyscallStop || AtEntry(pid) {
		t.Errorf("behind a call: %s", Describe(st))
	}
}
