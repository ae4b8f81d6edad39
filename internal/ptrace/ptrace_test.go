//go:build linux

package ptrace

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"unsafe"

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

// startStub starts a stub, until end is called.
func startStub(t *testing.T) (pid int, end func()) {
	pid, err := StartStub(testGadget, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return pid, func() {
		unix.Kill(pid, unix.SIGKILL)
		WaitFor(pid)
	}
}

func TestStubHoldsOnlyTheGadget(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, end := startStub(t)
	defer end()
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

// TestStubHoldsNoFile: a stub has no file of pyrr's open, also where close_range is refused.
func TestStubHoldsNoFile(t *testing.T) {
	const refused = "PYRR_TEST_NO_CLOSE_RANGE"
	if os.Getenv(refused) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestStubHoldsNoFile$", "-test.v")
		cmd.Env = append(os.Environ(), refused+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	} else {
		filter := []unix.SockFilter{
			{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS},
			{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: closeRange},
			{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
			{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		}
		prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			t.Fatal(err)
		}
		if _, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog))); e != 0 {
			t.Fatal(e)
		}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, end := startStub(t)
	defer end()
	if files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)); err != nil || len(files) > 0 {
		t.Errorf("it has open %v, %v", files, err)
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
