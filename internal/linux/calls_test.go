package linux

import (
	"errors"
	"testing"

	"pyrr/internal/mem"
)

func TestMayBlock(t *testing.T) {
	for _, tt := range []struct {
		name string
		args [6]uint64
		want bool
	}{
		{"read", [6]uint64{}, true},
		{"write", [6]uint64{}, true},
		{"openat", [6]uint64{}, true},
		{"connect", [6]uint64{}, true},
		{"close", [6]uint64{}, true},
		{"getpid", [6]uint64{}, false},
		{"mmap", [6]uint64{}, false},
		{"clock_gettime", [6]uint64{}, false},
		{"newfstatat", [6]uint64{}, false},
		{"lseek", [6]uint64{}, false},
		{"futex", [6]uint64{0, futexWait | 128}, true},
		{"futex", [6]uint64{0, futexWaitBitset | 128 | 256}, true},
		{"futex", [6]uint64{0, futexWake | 128}, false},
		{"futex", [6]uint64{0, futexCmpRequeue}, false},
		{"futex", [6]uint64{0, 99}, true},
		{"fcntl", [6]uint64{0, fSetlkw}, true},
		{"fcntl", [6]uint64{0, fOFDSetLkW}, true},
		{"fcntl", [6]uint64{0, fSetlk}, false},
		{"fcntl", [6]uint64{0, fGetfl}, false},
		{"poll", [6]uint64{0, 0, 0}, false},
		{"poll", [6]uint64{0, 0, 1}, true},
		{"poll", [6]uint64{0, 0, 0xffffffff}, true},
		{"poll", [6]uint64{0, 0, 0x7700000000}, false}, // the argument is an int
		{"ppoll", [6]uint64{}, true},
		{"select", [6]uint64{}, true},
		{"epoll_wait", [6]uint64{0, 0, 0, 0}, false},
		{"epoll_wait", [6]uint64{0, 0, 0, 0xffffffff}, true},
		{"epoll_pwait", [6]uint64{0, 0, 0, 0}, false},
		{"epoll_pwait2", [6]uint64{}, true},
		{"recvfrom", [6]uint64{0, 0, 0, 0}, true},
		{"recvfrom", [6]uint64{0, 0, 0, 0x40}, false},
		{"sendto", [6]uint64{0, 0, 0, 0x4040}, false},
		{"recvmsg", [6]uint64{0, 0, 0x40}, false},
		{"sendmsg", [6]uint64{0, 0, 0}, true},
		{"wait4", [6]uint64{0, 0, 0}, true},
		{"wait4", [6]uint64{0, 0, 1}, false},
		{"waitid", [6]uint64{0, 0, 0, 4}, true},
		{"waitid", [6]uint64{0, 0, 0, 5}, false},
		{"flock", [6]uint64{0, 2}, true},
		{"flock", [6]uint64{0, 6}, false},
		{"getrandom", [6]uint64{0, 8, 0}, true},
		{"getrandom", [6]uint64{0, 8, 1}, false},
		{"ioctl", [6]uint64{0, 0x5401}, false},
		{"ioctl", [6]uint64{0, 0x5403}, true},     // TCSETSW waits for the output
		{"ioctl", [6]uint64{0, 0xdeadbeef}, true}, // unknown
		{"clone", [6]uint64{17}, false},
		{"clone", [6]uint64{0x4111}, true}, // CLONE_VFORK
		{"vfork", [6]uint64{}, true},
		{"nanosleep", [6]uint64{}, true},
		{"rt_sigsuspend", [6]uint64{}, true},
		{"sched_yield", [6]uint64{}, true},
		{"msgrcv", [6]uint64{0, 0, 0, 0, 0x800}, false},
		{"msgsnd", [6]uint64{0, 0, 0, 0x800}, false},
	} {
		nr, ok := Number(tt.name)
		if !ok {
			t.Fatalf("no system call %q", tt.name)
		}
		if got := MayBlock(nr, tt.args); got != tt.want {
			t.Errorf("MayBlock(%s, %#x) = %v", tt.name, tt.args, got)
		}
	}
	if !MayBlock(9999, [6]uint64{}) {
		t.Error("an unknown call may block")
	}
}

func TestClassOf(t *testing.T) {
	for _, tt := range []struct {
		name  string
		args  [6]uint64
		class Class
		errno string
	}{
		{"read", [6]uint64{}, Plain, ""},
		{"mmap", [6]uint64{}, AddressSpace, ""},
		{"clone", [6]uint64{}, Process, ""},
		{"rt_sigreturn", [6]uint64{}, Sigreturn, ""},
		{"clone3", [6]uint64{}, Hidden, "ENOSYS"},
		{"rseq", [6]uint64{}, Hidden, "ENOSYS"},
		{"io_uring_setup", [6]uint64{}, Hidden, "ENOSYS"},
		{"ptrace", [6]uint64{}, Plain, ""},
		{"sched_setaffinity", [6]uint64{}, Faked, ""},
		{"process_vm_writev", [6]uint64{}, Refuse, ""},
		{"futex", [6]uint64{0, futexWait}, Plain, ""},
		{"futex", [6]uint64{0, futexLockPI | 128}, Plain, ""},
		{"madvise", [6]uint64{0, 0, 4}, AddressSpace, ""},
		{"madvise", [6]uint64{0, 0, 3}, Plain, ""},
		{"madvise", [6]uint64{0, 0, 8}, Hidden, "EINVAL"},
		{"madvise", [6]uint64{0, 0, 102}, Hidden, "EINVAL"},
		{"prctl", [6]uint64{4, 0}, Faked, ""},
		{"prctl", [6]uint64{15}, Plain, ""},
		{"prctl", [6]uint64{59}, Hidden, "EINVAL"},
		{"prctl", [6]uint64{26, 2}, Hidden, "EINVAL"},
		{"prctl", [6]uint64{26, 1}, Plain, ""},
		{"madvise", [6]uint64{0, 0, 24}, Hidden, "EINVAL"},
		{"shmat", [6]uint64{}, Refuse, ""},
		{"arch_prctl", [6]uint64{archSetFS}, AddressSpace, ""},
		{"arch_prctl", [6]uint64{archGetFS}, Plain, ""},
		{"arch_prctl", [6]uint64{archSetCPUID}, Hidden, "ENODEV"},
		{"arch_prctl", [6]uint64{archShstkEnable}, Hidden, "EINVAL"},
		{"setsockopt", [6]uint64{3, 263, 5}, Hidden, "ENOPROTOOPT"},
		{"setsockopt", [6]uint64{3, 1, 2}, Plain, ""},
	} {
		nr, ok := Number(tt.name)
		if !ok {
			t.Fatalf("no system call %q", tt.name)
		}
		want, _ := ErrnoNumber(tt.errno)
		if class, errno := ClassOf(nr, tt.args); class != tt.class || errno != want {
			t.Errorf("ClassOf(%s, %#x) = %v, %d; want %v, %d", tt.name, tt.args, class, errno, tt.class, want)
		}
	}
}

// nowhere is an address space without memory.
type nowhere struct{}

func (nowhere) ReadAt(p []byte, addr uint64) error {
	return &mem.Error{Addr: addr, Len: len(p), Err: errors.New("no memory")}
}

// What is not known ends a recording, unless nothing happened.
func TestOutputsFailClosed(t *testing.T) {
	const enosys, einval, enotty, eopnotsupp, eio = -38, -22, -25, -95, -5
	for _, tt := range []struct {
		name    string
		nr      int
		args    [6]uint64
		ret     int64
		unknown bool
	}{
		{"number", 400, [6]uint64{}, 0, true},
		{"number, not implemented", 400, [6]uint64{}, enosys, false},
		{"number, other failure", 400, [6]uint64{}, eio, true},
		{"negative number", -1, [6]uint64{}, enosys, false},
		{"x32 number", 1 << 30, [6]uint64{}, 0, true},
		{"ioctl", sysIoctl, [6]uint64{0, 0xdeadbeef}, 0, true},
		{"ioctl not for this file", sysIoctl, [6]uint64{0, 0xdeadbeef}, enotty, false},
		{"ioctl, other failure", sysIoctl, [6]uint64{0, 0xdeadbeef}, eio, true},
		{"ioctl of graphics", sysIoctl, [6]uint64{0, 0xc0106401}, 0, true},
		{"ioctl of events", sysIoctl, [6]uint64{0, 0x80044501, 0x1000}, 0, false},
		{"ioctl of events with pointers", sysIoctl, [6]uint64{0, 0x80104592}, 0, true},
		{"fcntl", sysFcntl, [6]uint64{0, 777}, 0, true},
		{"fcntl invalid", sysFcntl, [6]uint64{0, 777}, einval, false},
		{"prctl", sysPrctl, [6]uint64{12345}, 0, true},
		{"prctl invalid", sysPrctl, [6]uint64{12345}, einval, false},
		{"arch_prctl", 158, [6]uint64{12345}, 0, true},
		{"futex", sysFutex, [6]uint64{0, 77}, 0, true},
		{"futex not implemented", sysFutex, [6]uint64{0, 77}, enosys, false},
		{"getsockopt level", sysGetsockopt, [6]uint64{0, 12345, 1, 0x1000, 0x2000}, 0, true},
		{"getsockopt level not supported", sysGetsockopt, [6]uint64{0, 12345}, eopnotsupp, false},
		{"zero-copy receive", sysGetsockopt, [6]uint64{0, 6, 35}, 0, true},
		{"packet ring", sysSetsockopt, [6]uint64{0, 263, 5}, 0, true},
		{"packet ring refused", sysSetsockopt, [6]uint64{0, 263, 5}, einval, false},
		{"keyctl", sysKeyctl, [6]uint64{99}, 0, true},
		{"semctl", sysSemctl, [6]uint64{0, 0, 99}, 0, true},
		{"shmctl", sysShmctl, [6]uint64{0, 99}, 0, true},
		{"msgctl", sysMsgctl, [6]uint64{0, 99}, 0, true},
		{"quotactl", sysQuotactl, [6]uint64{0x12345 << 8}, 0, true},
		{"refused call", 311, [6]uint64{}, 5, true},
		{"refused call that failed", 311, [6]uint64{}, einval, false},
		{"restart_syscall", sysRestartSyscall, [6]uint64{}, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Outputs(tt.nr, tt.args, tt.ret, nowhere{}, nil)
			var unknown *UnknownError
			if got := errors.As(err, &unknown); got != tt.unknown {
				t.Errorf("got error %v, want one: %v", err, tt.unknown)
			}
		})
	}
}

// No row may panic, run long or give ranges that wrap, whatever the arguments.
func TestOutputsOfJunk(t *testing.T) {
	values := []uint64{0, 1, 7, 0x1000, 1 << 31, 1<<32 + 5, 1 << 47, 1 << 63, ^uint64(0)}
	rets := []int64{0, 1, 3, 4096, 1 << 40, -1, -4, -14, -22, -38, -75, -512, -516}
	for nr := range MaxNr + 2 {
		for i, v := range values {
			for _, ret := range rets {
				args := [6]uint64{v, values[(i+1)%len(values)], values[(i+3)%len(values)], values[(i+4)%len(values)], values[(i+5)%len(values)], v}
				for _, m := range []mem.Reader{nowhere{}, zeros{}} {
					ranges, _ := Outputs(nr, args, ret, m, nil)
					for _, r := range ranges {
						if r.Addr == 0 || r.Len == 0 || r.Addr+r.Len < r.Addr {
							t.Fatalf("%s(%#x) = %d gives %+v", Name(nr), args, ret, r)
						}
					}
				}
			}
		}
	}
}

// zeros is an address space full of zeros.
type zeros struct{}

func (zeros) ReadAt(p []byte, addr uint64) error { clear(p); return nil }

func TestOutputsAllocateNothing(t *testing.T) {
	dst := make([]mem.Range, 0, 16)
	for _, c := range []struct {
		name string
		args [6]uint64
		ret  int64
	}{
		{"read", [6]uint64{3, 0x1000, 100}, 50},
		{"newfstatat", [6]uint64{3, 0x1000, 0x2000}, 0},
		{"getpid", [6]uint64{}, 5},
		{"futex", [6]uint64{0x1000, 129, 1}, 1},
		{"poll", [6]uint64{0x1000, 1, 0}, 1},
		{"epoll_wait", [6]uint64{3, 0x1000, 10, 0}, 1},
		{"accept4", [6]uint64{3, 0x1000, 0x2000, 0}, 5},
		{"ioctl", [6]uint64{3, 0x5401, 0x2000, 0}, 0},
	} {
		nr, _ := Number(c.name)
		n := testing.AllocsPerRun(100, func() {
			if _, err := Outputs(nr, c.args, c.ret, zeros{}, dst[:0]); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%s allocates %v times", c.name, n)
		}
	}
}

func BenchmarkOutputs(b *testing.B) {
	dst := make([]mem.Range, 0, 16)
	for b.Loop() {
		dst, _ = Outputs(0, [6]uint64{3, 0x1000, 100}, 50, nowhere{}, dst[:0])
	}
}
