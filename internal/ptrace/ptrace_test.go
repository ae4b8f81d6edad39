//go:build linux

package ptrace

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
)

func TestStartStopsBeforeTheFirstInstruction(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, err := Start("/bin/sh", []string{"sh", "-c", "exit 7"}, nil, "", StdFiles(), Options)
	if err != nil {
		t.Fatal(err)
	}
	var r linux.Regs
	if err := GetRegs(pid, &r); err != nil {
		t.Fatal(err)
	}
	if r.Rax != 0 || r.Rbx != 0 || r.Rsp%16 != 0 {
		t.Errorf("registers are not those of a fresh program: %+v", r)
	}
	if err := Cont(pid, 0); err != nil {
		t.Fatal(err)
	}
	for {
		_, st, err := WaitFor(pid)
		if err != nil {
			t.Fatal(err)
		}
		if st.Exited() {
			if st.ExitStatus() != 7 {
				t.Errorf("exit status %d, want 7", st.ExitStatus())
			}
			return
		}
		t.Logf("stop: %s", Describe(st))
		if err := Cont(pid, 0); err != nil {
			t.Fatal(err)
		}
	}
}

const testGadget = 0x6f0000000000

func TestStubHoldsOnlyTheGadget(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, err := StartStub(testGadget, 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		unix.Kill(pid, unix.SIGKILL)
		WaitFor(pid)
	}()
	b := make([]byte, 3)
	if err := Mem(pid).ReadAt(b, testGadget); err != nil || string(b) != string(Gadget) {
		t.Fatalf("gadget is % x, %v", b, err)
	}
	ret, err := Inject(pid, testGadget, unix.SYS_MMAP, [6]uint64{0x10000, 4096, 3, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED, ^uint64(0), 0}, nil)
	if err != nil || ret != 0x10000 {
		t.Fatalf("mmap: %d, %v", ret, err)
	}
	if err := Write(pid, 0x10000, []byte("hello")); err != nil {
		t.Fatal(err)
	}
}

func TestStubDiesOfAnyOtherSyscall(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, call := range [][2]uint64{
		{unix.SYS_OPENAT}, {unix.SYS_SOCKET}, {unix.SYS_WRITE}, {unix.SYS_KILL}, {unix.SYS_EXECVE}, {unix.SYS_PTRACE},
		{unix.SYS_CLONE, unix.CLONE_UNTRACED}, {unix.SYS_CLONE, unix.CLONE_NEWUSER}, {unix.SYS_CLONE, CloneThread | unix.CLONE_UNTRACED},
		{unix.SYS_CLONE, 1 << 32}, {unix.SYS_CLONE3}, {unix.SYS_FORK}, {unix.SYS_VFORK},
	} {
		pid, err := StartStub(testGadget, 1000)
		if err != nil {
			t.Fatal(err)
		}
		ret, err := Inject(pid, testGadget, call[0], [6]uint64{call[1]}, nil)
		if err == nil {
			t.Errorf("syscall %d with %#x was made and returned %d", call[0], call[1], ret)
			unix.Kill(pid, unix.SIGKILL)
			WaitFor(pid)
		}
	}
}
