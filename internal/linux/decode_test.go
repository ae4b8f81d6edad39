package linux

import (
	"encoding/binary"
	"strings"
	"testing"
)

// memory is a map of what a call wrote, for the read function of Decode.
type memory map[uint64][]byte

func (m memory) read(addr uint64, n int) []byte {
	if b := m[addr]; len(b) >= n {
		return b[:n]
	}
	return nil
}

func le(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case []byte:
			b = append(b, p...)
		case string:
			b = append(b, p...)
		default:
			b, _ = binary.Append(b, binary.LittleEndian, p)
		}
	}
	return b
}

// Addresses as the kernel has them, and AT_FDCWD.
var (
	inet  = le(uint16(2), []byte{0x22, 0xb8, 127, 0, 0, 1}, make([]byte, 8))
	inet6 = le(uint16(10), []byte{0, 80}, uint32(0), make([]byte, 15), []byte{1}, uint32(0))
	atCwd = ^uint64(99)
)

// decodeCases are calls, and the lines that show them.
var decodeCases = []struct {
	name string
	call string
	args [6]uint64
	ret  int64
	in   []byte
	out  memory
	want string
}{
	{"connect", "connect", [6]uint64{3, 0x1000, 16}, 0, inet, nil, "connect(3, 127.0.0.1:8888) = 0"},
	{"connect, address not kept", "connect", [6]uint64{3, 0x1000, 16}, -115, nil, nil, "connect(3, 0x1000) = -1 EINPROGRESS"},
	{"IPv6", "connect", [6]uint64{3, 0x1000, 28}, 0, inet6, nil, "connect(3, [::1]:80) = 0"},
	{"unix", "bind", [6]uint64{3, 0x1000, 10}, 0, le(uint16(1), "/run/x\x00"), nil, "bind(3, unix:/run/x) = 0"},
	{"abstract unix", "bind", [6]uint64{3, 0x1000, 10}, 0, le(uint16(1), "\x00name"), nil, "bind(3, unix:@name) = 0"},
	{"openat", "openat", [6]uint64{atCwd, 0x1000, 0x80000}, 3, []byte("/etc/hosts\x00"), nil, `openat("/etc/hosts", O_RDONLY|O_CLOEXEC) = 3`},
	{"openat below, creating", "openat", [6]uint64{5, 0x1000, 0x80241, 0666}, 3, []byte("x\x00"), nil, `openat(5, "x", O_WRONLY|O_CLOEXEC|O_CREAT|O_TRUNC, 0666) = 3`},
	{"path kept without its NUL", "stat", [6]uint64{0x1000, 0x2000}, 0, []byte("/etc"), nil, `stat("/etc", 0x2000) = 0`},
	{"path cut short", "stat", [6]uint64{0x1000, 0x2000}, 0, []byte(strings.Repeat("p", 256)), nil, `stat("` + strings.Repeat("p", 256) + `"…, 0x2000) = 0`},
	{"path not kept", "stat", [6]uint64{0x1000, 0x2000}, -14, nil, nil, `stat(0x1000, 0x2000) = -1 EFAULT`},
	{"second path without its NUL", "link", [6]uint64{0x1000, 0x2000}, 0, []byte("a\x00bb"), nil, `link("a", "bb") = 0`},
	{"getcwd", "getcwd", [6]uint64{0x1000, 100}, 3, nil, memory{0x1000: []byte("/a\x00")}, `getcwd("/a", 100) = 3`},
	{"two paths", "rename", [6]uint64{0x1000, 0x2000}, 0, []byte("a\x00b\x00"), nil, `rename("a", "b") = 0`},
	{"two paths, one kept", "rename", [6]uint64{0x1000, 0x2000}, 0, []byte("a\x00"), nil, `rename("a", 0x2000) = 0`},
	{"read", "read", [6]uint64{3, 0x1000, 8192}, 5, nil, memory{0x1000: []byte("hello")}, `read(3, "hello", 8192) = 5`},
	{"read, data not kept", "read", [6]uint64{3, 0x1000, 512}, 512, nil, nil, "read(3, 512 bytes) = 512"},
	{"read, end of file", "read", [6]uint64{3, 0x1000, 512}, 0, nil, nil, "read(3, 512 bytes) = 0"},
	{"read would block", "read", [6]uint64{3, 0x1000, 512}, -11, nil, nil, "read(3, 512 bytes) = -1 EAGAIN"},
	{"read, interrupted", "read", [6]uint64{3, 0x1000, 512}, -512, nil, nil, "read(3, 512 bytes) = ? ERESTARTSYS (interrupted)"},
	{"write", "write", [6]uint64{1, 0x1000, 6}, 6, []byte("hello\n"), nil, `write(1, "hello\n", 6) = 6`},
	{"write of much", "write", [6]uint64{1, 0x1000, 9999}, 9999, make([]byte, 128)[:3], nil, `write(1, "\x00\x00\x00"…, 9999) = 9999`},
	{"recv", "recvfrom", [6]uint64{4, 0x1000, 10, 0x40}, -11, nil, nil, "recvfrom(4, 10 bytes, MSG_DONTWAIT) = -1 EAGAIN"},
	{"recvfrom with address", "recvfrom", [6]uint64{4, 0x1000, 10, 0, 0x2000, 0x3000}, 1, nil,
		memory{0x1000: []byte("x"), 0x2000: inet, 0x3000: le(uint32(16))}, `recvfrom(4, "x", 10, 0, 127.0.0.1:8888) = 1`},
	{"sendto", "sendto", [6]uint64{4, 0x1000, 10, 0x4000}, 10, []byte("GET / HTTP"), nil, `sendto(4, "GET / HTTP", 10, MSG_NOSIGNAL) = 10`},
	{"accept", "accept4", [6]uint64{4, 0x1000, 0x2000, 0x80000}, 5, nil, memory{0x1000: inet, 0x2000: le(uint32(16))}, "accept4(4, 127.0.0.1:8888, SOCK_CLOEXEC) = 5"},
	{"socket", "socket", [6]uint64{2, 0x80001, 6}, 3, nil, nil, "socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, 6) = 3"},
	{"poll before", "poll", [6]uint64{0x1000, 1, 5000}, -516, le(int32(7), uint16(1), uint16(0)), nil, "poll([{7 POLLIN}], 1, 5000) = ? ERESTART_RESTARTBLOCK (interrupted)"},
	{"poll after", "poll", [6]uint64{0x1000, 1, 0xffffffff}, 1, nil, memory{0x1000: le(int32(7), uint16(5), uint16(16))}, "poll([{7 POLLIN|POLLOUT got POLLHUP}], 1, -1) = 1"},
	{"poll timeout", "poll", [6]uint64{0x1000, 0, 5}, 0, nil, nil, "poll(0x1000, 0, 5) = 0 (timeout)"},
	{"epoll_wait", "epoll_wait", [6]uint64{3, 0x1000, 64, 100}, 1, nil, memory{0x1000: le(uint32(0x11), uint64(9))}, "epoll_wait(3, [{EPOLLIN|EPOLLHUP 9}], 64, 100) = 1"},
	{"epoll_ctl", "epoll_ctl", [6]uint64{3, 1, 9, 0x1000}, 0, le(uint32(1), uint64(9)), nil, "epoll_ctl(3, EPOLL_CTL_ADD, 9, {EPOLLIN 9}) = 0"},
	{"select", "select", [6]uint64{10, 0x1000, 0, 0, 0}, 1, le(uint64(0x208)), nil, "select(10, [3 9], NULL, NULL, NULL) = 1"},
	{"futex wake", "futex", [6]uint64{0x1000, 129, 1, 99, 99, 99}, 1, nil, nil, "futex(0x1000, FUTEX_WAKE|FUTEX_PRIVATE_FLAG, 1) = 1"},
	{"futex wait", "futex", [6]uint64{0x1000, 128, 2, 0x2000}, -110, le(int64(0), int64(5e6)), nil, "futex(0x1000, FUTEX_WAIT|FUTEX_PRIVATE_FLAG, 2, 0.005s) = -1 ETIMEDOUT"},
	{"futex wait without end", "futex", [6]uint64{0x1000, 0x189, 2, 0, 0, 0xffffffff}, 0, nil, nil, "futex(0x1000, FUTEX_WAIT_BITSET|FUTEX_PRIVATE_FLAG|FUTEX_CLOCK_REALTIME, 2, NULL) = 0"},
	{"sleep", "clock_nanosleep", [6]uint64{1, 0, 0x1000, 0}, 0, le(int64(1), int64(5e8)), nil, "clock_nanosleep(CLOCK_MONOTONIC, 0, 1.5s, NULL) = 0"},
	{"clock_gettime", "clock_gettime", [6]uint64{0, 0x1000}, 0, nil, memory{0x1000: le(int64(7), int64(1))}, "clock_gettime(CLOCK_REALTIME, 7.000000001s) = 0"},
	{"pipe2", "pipe2", [6]uint64{0x1000, 0x80000}, 0, nil, memory{0x1000: le(int32(3), int32(4))}, "pipe2([3, 4], O_CLOEXEC) = 0"},
	{"wait4", "wait4", [6]uint64{^uint64(0), 0x1000, 1, 0}, 77, nil, memory{0x1000: le(uint32(0x100))}, "wait4(-1, exited 1, WNOHANG, NULL) = 77"},
	{"wait4 killed", "wait4", [6]uint64{77, 0x1000, 0, 0}, 77, nil, memory{0x1000: le(uint32(9))}, "wait4(77, killed by SIGKILL, 0, NULL) = 77"},
	{"kill", "kill", [6]uint64{77, 2}, 0, nil, nil, "kill(77, SIGINT) = 0"},
	{"sigprocmask", "rt_sigprocmask", [6]uint64{0, 0x1000, 0, 8}, 0, le(uint64(2 | 1<<16)), nil, "rt_sigprocmask(SIG_BLOCK, [SIGINT SIGCHLD], NULL) = 0"},
	{"mmap", "mmap", [6]uint64{0, 4096, 3, 0x22, ^uint64(0), 0}, 0x7f0000001000, nil, nil, "mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000001000"},
	{"mmap fails", "mmap", [6]uint64{0, 0, 0, 0x22, ^uint64(0), 0}, -22, nil, nil, "mmap(NULL, 0, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = -1 EINVAL"},
	{"clone", "clone", [6]uint64{0x1200011, 0, 0, 0x1000, 0}, 99, nil, nil, "clone(SIGCHLD|CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID, NULL, NULL, 0x1000, 0x0) = 99"},
	{"fcntl", "fcntl", [6]uint64{3, 3, 0x999}, 0x802, nil, nil, "fcntl(3, F_GETFL) = 2050 (O_RDWR|O_NONBLOCK)"},
	{"ioctl", "ioctl", [6]uint64{1, 0x5401, 0x1000}, -25, nil, nil, "ioctl(1, TCGETS, 0x1000) = -1 ENOTTY"},
	{"ioctl unknown", "ioctl", [6]uint64{1, 0xdeadbeef, 0x1000}, -25, nil, nil, "ioctl(1, 0xdeadbeef, 0x1000) = -1 ENOTTY"},
	{"prctl name", "prctl", [6]uint64{15, 0x1000, 0, 0, 0}, 0, []byte("worker\x00"), nil, `prctl(PR_SET_NAME, "worker") = 0`},
	{"execve", "execve", [6]uint64{0x1000, 0x2000, 0x3000}, 0, []byte("/bin/echo\x00"), nil, `execve("/bin/echo") = 0`},
	{"exit", "exit_group", [6]uint64{1}, 0, nil, nil, "exit_group(1) = ?"},
	{"no such call", "", [6]uint64{1, 2, 3, 4, 5, 6}, -38, nil, nil, "syscall_999(0x1, 0x2, 0x3, 0x4, 0x5, 0x6) = -1 ENOSYS"},
}

func TestDecode(t *testing.T) {
	for _, tt := range decodeCases {
		t.Run(tt.name, func(t *testing.T) {
			nr := 999
			if tt.call != "" {
				var ok bool
				if nr, ok = Number(tt.call); !ok {
					t.Fatalf("no system call %q", tt.call)
				}
			}
			if got := Text(nr, tt.args, tt.ret, tt.in, tt.out.read); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if _, n, _ := InArgs(nr, tt.args); n < len(tt.in) && strings.Count(string(tt.in), "\x00") < 2 {
				t.Errorf("InArgs asks for %d bytes, the test gives %d", n, len(tt.in))
			}
		})
	}
}

func TestDecodeArgs(t *testing.T) {
	nr, _ := Number("connect")
	got := DecodeArgs(nr, [6]uint64{3, 0x1000, 16}, 0, le(uint16(2), []byte{0, 80, 10, 0, 0, 1}), nil)
	want := []ArgValue{{"fd", "3", 3}, {"addr", "10.0.0.1:80", 0x1000}, {"addrlen", "16", 16}}
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

// Every call must be shown whatever its arguments and the bytes behind them
// are: they come from a recording.
func FuzzDecode(f *testing.F) {
	f.Add(uint16(42), uint64(3), uint64(0x1000), uint64(16), uint64(0), int64(0), []byte("\x02\x00\x00\x50\x7f\x00\x00\x01"))
	f.Add(uint16(7), uint64(1), uint64(1<<40), uint64(1<<63), uint64(0), int64(1<<40), []byte("abc"))
	f.Fuzz(func(t *testing.T, nr uint16, a0, a1, a2, a3 uint64, ret int64, b []byte) {
		args := [6]uint64{a0, a1, a2, a3, a0, a1}
		read := func(_ uint64, n int) []byte {
			if n > 4096 {
				t.Fatalf("asks for %d bytes", n)
			}
			return b
		}
		if _, n, _ := InArgs(int(nr), args); n < 0 || n > 256 {
			t.Fatalf("InArgs asks for %d bytes", n)
		}
		for nr := range MaxNr + 2 {
			DecodeArgs(nr, args, ret, b, read)
			Text(nr, args, ret, b, read)
		}
	})
}

// Text is Decode as one line: connect(3, 127.0.0.1:80) = 0.
func Text(nr int, args [6]uint64, ret int64, in []byte, read func(addr uint64, n int) []byte) string {
	a, result := Decode(nr, args, ret, in, read)
	return Name(nr) + "(" + strings.Join(a, ", ") + ") = " + result
}
