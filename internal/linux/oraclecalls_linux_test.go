package linux

import (
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }

// notExercised lists rows with outputs that the oracle can't make succeed
// everywhere, with the reason.
var notExercised = map[string]string{
	"ustat":             "needs a mounted device",
	"getxattrat":        "Linux 6.13",
	"listxattrat":       "Linux 6.13",
	"file_getattr":      "Linux 6.17",
	"listns":            "Linux 6.19",
	"statmount":         "Linux 6.8",
	"listmount":         "Linux 6.8",
	"cachestat":         "Linux 6.5",
	"lookup_dcookie":    "removed in Linux 6.8",
	"lsm_get_self_attr": "Linux 6.8 and a security module",
	"lsm_list_modules":  "Linux 6.8",
	"quotactl":          "needs a file system with quotas",
	"quotactl_fd":       "needs a file system with quotas",
	"keyctl":            "kept from containers",
	"syslog":            "kept from containers",
	"adjtimex":          "kept from containers",
	"clock_adjtime":     "kept from containers",
	"name_to_handle_at": "not on all file systems",
	"capset":            "writes only when it fails",
	"sched_setattr":     "writes only when it fails",
	"process_vm_readv":  "kept from containers",
	"mq_timedreceive":   "kept from containers",
	"mq_getsetattr":     "kept from containers",
	"get_mempolicy":     "kept from containers",
	"move_pages":        "kept from containers",
	"nanosleep":         "writes only when interrupted",
	"clock_nanosleep":   "writes only when interrupted",
	"arch_prctl":        "the kernel may lack CPUID faulting",
	"seccomp":           "kept from containers",
}

type oracleCall struct {
	name string
	run  func(o *oracle)
}

// file makes a file with content and returns its path and an open descriptor.
func (o *oracle) file(content string) (string, uint64) {
	o.t.Helper()
	name := filepath.Join(o.t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		o.t.Fatal(err)
	}
	return name, o.open(name, unix.O_RDWR)
}

func (o *oracle) open(name string, flags int) uint64 {
	o.t.Helper()
	fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { unix.Close(fd) })
	return uint64(fd)
}

// pair makes a pipe that holds s, or with an empty s nothing.
func (o *oracle) pipe(s string) (r, w uint64) {
	o.t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	if s != "" {
		unix.Write(p[1], []byte(s))
	}
	return uint64(p[0]), uint64(p[1])
}

func (o *oracle) sockets(typ int) (a, b uint64) {
	o.t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	return uint64(p[0]), uint64(p[1])
}

// udp makes a bound socket of IPv4 and sends s to it.
func (o *oracle) udp(s string) uint64 {
	o.t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		o.t.Fatal(err)
	}
	sa, _ := unix.Getsockname(fd)
	if s != "" {
		if err := unix.Sendto(fd, []byte(s), 0, sa); err != nil {
			o.t.Fatal(err)
		}
	}
	return uint64(fd)
}

// listener makes a TCP listener that n clients have connected to.
func (o *oracle) listener(n int) uint64 {
	o.t.Helper()
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // its sockets lack options
	l, err := lc.Listen(o.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		o.t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { f.Close(); l.Close() })
	for range n {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			o.t.Fatal(err)
		}
		o.t.Cleanup(func() { c.Close() })
	}
	fd := f.Fd()
	unix.SetNonblock(int(fd), false)
	return uint64(fd)
}

// child starts a process that ends at once with status 3.
func (o *oracle) child() uint64 {
	o.t.Helper()
	pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "exit 3"}, nil)
	if err != nil {
		o.t.Fatal(err)
	}
	return uint64(pid)
}

// during runs do while another thread sends this one SIGURG until it returns:
// the runtime's handler ignores it, and the call is interrupted.
func (o *oracle) during(do func()) {
	pid, tid := os.Getpid(), unix.Gettid()
	stop := make(chan bool)
	done := make(chan bool)
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				unix.Tgkill(pid, tid, unix.SIGURG)
			}
		}
	}()
	do()
	close(stop)
	<-done
}

// msghdr makes a struct msghdr with buffers of the given sizes.
func (o *oracle) msghdr(name, namelen uint64, control, controllen uint64, sizes ...int) uint64 {
	var iov []byte
	for _, n := range sizes {
		iov = le(iov, o.buf(n), uint64(n))
	}
	return o.in(name, namelen, o.in(iov), uint64(len(sizes)), control, controllen, uint64(0))
}

func fdcwd() uint64 { return 0xffffffffffffff9c }

var oracleCalls = []oracleCall{
	{"read", func(o *oracle) {
		_, fd := o.file("0123456789")
		o.ok("read", fd, o.buf(100), 100)
		o.ok("pread64", fd, o.buf(5), 5, 3)
		o.ok("pread64", fd, o.buf(5), 5, 100)
		o.call("read", fd, o.guard(), 10)
		r, _ := o.pipe("abcdef")
		o.ok("read", r, o.buf(4), 4)
		o.ok("lseek", fd, 0, 0)
		// A buffer that ends before its size: the kernel stops at the guard.
		o.call("read", fd, o.buf(4), 10)
	}},
	{"readv", func(o *oracle) {
		_, fd := o.file(strings.Repeat("x", 100))
		iov := func() uint64 { return o.in(o.buf(10), uint64(10), o.buf(7), uint64(7), o.buf(30), uint64(30)) }
		o.ok("readv", fd, iov(), 3)
		o.ok("preadv", fd, iov(), 3, 90, 0)
		o.ok("preadv2", fd, iov(), 3, 85, 0, 0)
		o.call("readv", fd, o.in(o.buf(10), uint64(10), o.guard(), uint64(10)), 2)
		var many []byte
		for range 600 {
			many = le(many, o.buf(1), uint64(1))
		}
		o.ok("preadv", fd, o.in(many), 600, 0, 0)
	}},
	{"write", func(o *oracle) {
		name, fd := o.file("")
		o.ok("write", fd, o.in("hello"), 5)
		o.ok("pwrite64", fd, o.in("hello"), 5, 0)
		o.ok("writev", fd, o.in(o.in("ab"), uint64(2)), 1)
		o.ok("pwritev", fd, o.in(o.in("ab"), uint64(2)), 1, 0, 0)
		o.ok("pwritev2", fd, o.in(o.in("ab"), uint64(2)), 1, 0, 0, 0)
		o.ok("ftruncate", fd, 3)
		o.ok("truncate", o.str(name), 2)
		o.ok("fsync", fd)
		o.ok("fdatasync", fd)
		o.ok("flock", fd, unix.LOCK_EX|unix.LOCK_NB)
		o.try("fallocate", fd, 0, 0, 100)
		o.ok("fadvise64", fd, 0, 0, 0)
		o.ok("sync_file_range", fd, 0, 0, 0)
		o.ok("readahead", fd, 0, 100)
	}},
	{"stat", func(o *oracle) {
		name, fd := o.file("x")
		o.ok("stat", o.str(name), o.buf(144))
		o.ok("lstat", o.str(name), o.buf(144))
		o.ok("fstat", fd, o.buf(144))
		o.ok("newfstatat", fdcwd(), o.str(name), o.buf(144), 0)
		o.ok("statx", fdcwd(), o.str(name), 0, 0xfff, o.buf(256))
		o.ok("statfs", o.str(name), o.buf(120))
		o.ok("fstatfs", fd, o.buf(120))
		o.call("stat", o.str("/nonexistent"), o.buf(144))
		o.call("stat", o.str(name), o.buf(100))
		o.call("stat", 8, o.guard())
	}},
	{"paths", func(o *oracle) {
		name, fd := o.file("x")
		dir := filepath.Dir(name)
		p := func(s string) uint64 { return o.str(filepath.Join(dir, s)) }
		o.ok("access", o.str(name), 4)
		o.ok("faccessat", fdcwd(), o.str(name), 4)
		o.ok("faccessat2", fdcwd(), o.str(name), 4, 0)
		o.ok("mkdir", p("d"), 0o755)
		o.ok("mkdirat", fdcwd(), p("d/e"), 0o755)
		o.ok("rmdir", p("d/e"))
		o.ok("symlink", p("file"), p("link"))
		o.ok("symlinkat", p("file"), fdcwd(), p("link2"))
		o.ok("link", p("file"), p("hard"))
		o.ok("linkat", fdcwd(), p("file"), fdcwd(), p("hard2"), 0)
		o.ok("readlink", p("link"), o.buf(200), 200)
		o.ok("readlink", p("link"), o.buf(5), 5)
		o.ok("readlinkat", fdcwd(), p("link"), o.buf(200), 200)
		o.call("readlink", p("file"), o.buf(20), 20)
		o.ok("rename", p("hard"), p("hard3"))
		o.ok("renameat", fdcwd(), p("hard3"), fdcwd(), p("hard4"))
		o.ok("renameat2", fdcwd(), p("hard4"), fdcwd(), p("hard5"), 0)
		o.ok("unlink", p("hard5"))
		o.ok("unlinkat", fdcwd(), p("hard2"), 0)
		o.ok("mknod", p("fifo"), 0o10644, 0)
		o.ok("mknodat", fdcwd(), p("fifo2"), 0o10644, 0)
		o.ok("chmod", p("file"), 0o600)
		o.ok("fchmod", fd, 0o600)
		o.ok("fchmodat", fdcwd(), p("file"), 0o600)
		o.ok("utimensat", fdcwd(), p("file"), 0, 0)
		o.ok("utime", p("file"), 0)
		o.ok("utimes", p("file"), 0)
		o.ok("chown", p("file"), ^uint64(0), ^uint64(0))
		o.ok("lchown", p("file"), ^uint64(0), ^uint64(0))
		o.ok("fchown", fd, ^uint64(0), ^uint64(0))
		o.ok("fchownat", fdcwd(), p("file"), ^uint64(0), ^uint64(0), 0)
		o.ok("umask", uint64(unix.Umask(0o22)))
		unix.Umask(0o22)
		o.ok("getcwd", o.buf(4096), 4096)
		o.call("getcwd", o.buf(1), 1)
		for _, open := range []int64{o.ok("open", p("file"), 0, 0), o.ok("openat", fdcwd(), p("file"), 0, 0), o.ok("creat", p("new"), 0o600),
			o.try("openat2", fdcwd(), p("file"), o.in(uint64(0), uint64(0), uint64(0)), 24)} {
			if open >= 0 {
				o.ok("close", uint64(open))
			}
		}
	}},
	{"directories", func(o *oracle) {
		name, _ := o.file("x")
		for _, c := range []string{"getdents64", "getdents"} {
			fd := o.open(filepath.Dir(name), unix.O_DIRECTORY)
			o.ok(c, fd, o.buf(1000), 1000)
			o.ok(c, fd, o.buf(1000), 1000)
			fd = o.open("/dev", unix.O_DIRECTORY)
			o.ok(c, fd, o.buf(100), 100)
			o.call(c, fd, o.guard(), 1000)
			o.call(c, fd, o.buf(200), 1000)
		}
	}},
	{"extended attributes", func(o *oracle) {
		name, fd := o.file("x")
		if o.try("setxattr", o.str(name), o.str("user.k"), o.in("value"), 5, 0) < 0 {
			name, fd = "/proc/self/exe", o.open("/proc/self/exe", 0)
			o.t.Log("no user attributes here")
		}
		o.try("fsetxattr", fd, o.str("user.k2"), o.in("value"), 5, 0)
		o.try("lsetxattr", o.str(name), o.str("user.k3"), o.in("value"), 5, 0)
		o.try("getxattr", o.str(name), o.str("user.k"), o.buf(100), 100)
		o.try("getxattr", o.str(name), o.str("user.k"), o.buf(2), 2)
		o.try("getxattr", o.str(name), o.str("user.k"), 0, 0)
		o.try("getxattr", o.str(name), o.str("user.k"), o.buf(2), 0)
		o.try("lgetxattr", o.str(name), o.str("user.k"), o.buf(100), 100)
		o.try("fgetxattr", fd, o.str("user.k"), o.buf(100), 100)
		o.try("listxattr", o.str(name), o.buf(100), 100)
		o.try("listxattr", o.str(name), 0, 0)
		o.try("llistxattr", o.str(name), o.buf(100), 100)
		o.try("flistxattr", fd, o.buf(100), 100)
		o.try("getxattrat", fdcwd(), o.str(name), 0, o.str("user.k"), o.in(o.buf(50), uint32(50), uint32(0)), 16)
		o.try("listxattrat", fdcwd(), o.str(name), 0, o.buf(100), 100)
		o.try("removexattr", o.str(name), o.str("user.k"))
		o.try("fremovexattr", fd, o.str("user.k2"))
		o.try("lremovexattr", o.str(name), o.str("user.k3"))
		o.try("file_getattr", fdcwd(), o.str(name), o.buf(24), 24, 0)
		o.try("file_getattr", fdcwd(), o.str(name), o.buf(64), 64, 0)
	}},
	{"file handles and mounts", func(o *oracle) {
		name, fd := o.file("x")
		o.try("name_to_handle_at", fdcwd(), o.str(name), o.in(uint32(128), uint32(0), make([]byte, 128)), o.buf(4), 0)
		o.try("name_to_handle_at", fdcwd(), o.str(name), o.in(uint32(0), uint32(0)), o.buf(4), 0) // EOVERFLOW
		o.try("name_to_handle_at", fdcwd(), o.str(name), o.in(uint32(128), uint32(0), make([]byte, 128)), o.buf(8), 1)
		o.try("cachestat", fd, o.in(uint64(0), uint64(0)), o.buf(40), 0)
		ids := o.buf(80)
		if n := o.try("listmount", o.in(uint32(24), uint32(0), ^uint64(0), uint64(0)), ids, 10, 0); n > 0 {
			id := binary.LittleEndian.Uint64(o.at(ids, 8))
			for _, mask := range []uint64{1, 2, 0x3f} {
				o.try("statmount", o.in(uint32(24), uint32(0), id, mask), o.buf(4096), 4096, 0)
			}
			o.try("statmount", o.in(uint32(24), uint32(0), id, uint64(0x3f)), o.buf(100), 100, 0)
			o.try("statmount", o.in(uint32(24), uint32(0), id, uint64(0x3f)), o.buf(520), 520, 0)
		}
		o.try("listns", o.in(uint32(24), uint32(0), uint64(0), uint32(0), uint32(0)), o.buf(80), 10, 0)
		o.try("ustat", 0, o.buf(32))
		var st unix.Stat_t
		if unix.Stat("/", &st) == nil {
			o.try("ustat", st.Dev, o.buf(32))
		}
	}},
	{"descriptors", func(o *oracle) {
		_, fd := o.file("x")
		d := o.ok("dup", fd)
		o.ok("dup2", fd, uint64(d))
		o.ok("dup3", fd, uint64(d), 0)
		o.ok("close_range", uint64(d), uint64(d), 0)
		for _, c := range []string{"pipe", "pipe2"} {
			p := o.buf(8)
			o.ok(c, p)
			unix.Close(int(le32(o.at(p, 8))))
			unix.Close(int(le32(o.at(p, 8)[4:])))
		}
		o.call("pipe2", o.buf(8), 1)
		o.call("pipe", o.guard())
		o.call("pipe", o.buf(4))
		p := o.buf(8)
		o.ok("socketpair", unix.AF_UNIX, unix.SOCK_STREAM, 0, p)
		unix.Close(int(le32(o.at(p, 8))))
		unix.Close(int(le32(o.at(p, 8)[4:])))
		m := o.ok("memfd_create", o.str("m"), 0)
		o.ok("close", uint64(m))
	}},
	{"fcntl", func(o *oracle) {
		_, fd := o.file("x")
		lock := func() uint64 { return o.in(int16(unix.F_WRLCK), int16(0), uint32(0), uint64(0), uint64(0), uint64(0)) }
		o.ok("fcntl", fd, unix.F_GETLK, lock())
		o.ok("fcntl", fd, fOFDGetLk, lock())
		// Held by a child: the structure tells its pid.
		o.ok("fcntl", fd, unix.F_SETLK, lock())
		o.ok("fcntl", fd, fOFDSetLk, o.in(int16(unix.F_UNLCK), int16(0), uint32(0), uint64(0), uint64(0), uint64(0)))
		for _, cmd := range []uint64{unix.F_GETFD, unix.F_GETFL, unix.F_GETOWN, unix.F_GETSIG, unix.F_GETLEASE} {
			o.ok("fcntl", fd, cmd, o.buf(64))
		}
		o.ok("fcntl", fd, unix.F_GETOWN_EX, o.buf(8))
		o.try("fcntl", fd, fGetOwnerUIDs, o.buf(8))
		o.try("fcntl", fd, unix.F_GET_RW_HINT, o.buf(8))
		o.try("fcntl", fd, unix.F_GET_FILE_RW_HINT, o.buf(8))
		o.call("fcntl", fd, 9999, o.buf(64))
		o.call("fcntl", 9999, unix.F_GETLK, o.buf(64))
		r, _ := o.pipe("")
		o.ok("fcntl", r, unix.F_GETPIPE_SZ)
		n := o.ok("fcntl", r, unix.F_DUPFD_CLOEXEC, 3)
		unix.Close(int(n))
	}},
	{"copying", func(o *oracle) {
		_, a := o.file(strings.Repeat("a", 100))
		_, b := o.file("")
		r, w := o.pipe("")
		o.ok("sendfile", b, a, o.in(uint64(7)), 10)
		o.ok("sendfile", b, a, 0, 10)
		o.call("sendfile", b, 9999, o.in(uint64(7)), 10)
		o.ok("copy_file_range", a, o.in(uint64(1)), b, o.in(uint64(2)), 10, 0)
		o.ok("splice", a, o.in(uint64(1)), w, 0, 10, 0)
		o.ok("splice", r, 0, b, o.in(uint64(1)), 10, 0)
		o.ok("vmsplice", w, o.in(o.in("hello"), uint64(5)), 1, 0)
		o.ok("vmsplice", r, o.in(o.buf(3), uint64(3), o.buf(9), uint64(9)), 2, 0)
		r2, w2 := o.pipe("xyz")
		o.ok("tee", r2, w, 3, 0)
		_ = w2
	}},
	{"sockets", func(o *oracle) {
		s := o.ok("socket", unix.AF_INET, unix.SOCK_STREAM, 0)
		defer unix.Close(int(s))
		inet := o.in(uint16(2), uint16(0), []byte{127, 0, 0, 1}, make([]byte, 8))
		o.ok("bind", uint64(s), inet, 16)
		o.ok("listen", uint64(s), 5)
		for _, c := range []string{"getsockname"} {
			o.ok(c, uint64(s), o.buf(16), o.in(uint32(16)))
			o.ok(c, uint64(s), o.buf(128), o.in(uint32(128)))
			o.ok(c, uint64(s), o.buf(6), o.in(uint32(6)))
			o.ok(c, uint64(s), o.guard(), o.in(uint32(0)))
			o.call(c, uint64(s), o.guard(), o.in(uint32(16)))
			o.call(c, uint64(s), o.buf(16), o.guard())
		}
		l := o.listener(4)
		for _, c := range []string{"accept", "accept4"} {
			fd := o.ok(c, l, o.buf(16), o.in(uint32(16)), 0)
			o.ok("getpeername", uint64(fd), o.buf(28), o.in(uint32(28)))
			o.ok("shutdown", uint64(fd), 2)
			unix.Close(int(fd))
		}
		fd := o.ok("accept", l, 0, 0)
		unix.Close(int(fd))
		fd = o.ok("accept4", l, o.buf(3), o.in(uint32(3)), 0)
		unix.Close(int(fd))
		u, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			o.t.Fatal(err)
		}
		defer unix.Close(u)
		o.call("connect", uint64(u), o.in(uint16(1), "/nonexistent\x00"), 15)
		o.ok("getsockname", uint64(u), o.buf(110), o.in(uint32(110)))
	}},
	{"receiving", func(o *oracle) {
		fd := o.udp("hello")
		o.ok("recvfrom", fd, o.buf(100), 100, 0, o.buf(16), o.in(uint32(16)))
		fd = o.udp("hello")
		o.ok("recvfrom", fd, o.buf(2), 2, unix.MSG_TRUNC, o.buf(5), o.in(uint32(5)))
		fd = o.udp("hello")
		o.ok("recvfrom", fd, o.buf(2), 2, 0, 0, 0)
		o.call("recvfrom", fd, o.buf(2), 2, unix.MSG_DONTWAIT, o.buf(16), o.in(uint32(16)))
		fd = o.udp("hello")
		o.call("recvfrom", fd, o.guard(), 20, 0, 0, 0)
		fd = o.udp(strings.Repeat("z", 9000))
		o.call("recvfrom", fd, o.buf(6000), 9000, 0, 0, 0) // EFAULT after 6000 bytes
		a, b := o.sockets(unix.SOCK_STREAM)
		o.ok("sendto", a, o.in("data"), 4, 0, 0, 0)
		o.ok("recvfrom", b, o.buf(10), 10, 0, o.buf(16), o.in(uint32(16)))
		o.ok("sendmsg", a, o.msghdr(0, 0, 0, 0, 3), 0)
		o.ok("recvmsg", b, o.msghdr(0, 0, 0, 0, 2, 10), 0)
		o.call("recvmsg", b, o.msghdr(0, 0, 0, 0, 2, 10), unix.MSG_DONTWAIT)
		fd = o.udp("hello, world")
		o.ok("recvmsg", fd, o.msghdr(o.buf(16), 16, o.buf(64), 64, 3, 4, 100), 0)
		fd = o.udp("hello, world")
		o.ok("recvmsg", fd, o.msghdr(o.buf(7), 7, 0, 0, 3), unix.MSG_TRUNC)
		fd = o.udp("hello, world")
		o.call("recvmsg", fd, o.msghdr(o.guard(), 16, 0, 0, 3), 0)
	}},
	{"passing descriptors", func(o *oracle) {
		a, b := o.sockets(unix.SOCK_STREAM)
		for _, room := range []uint64{128, 24, 20, 16, 10} {
			if err := unix.Sendmsg(int(a), []byte("x"), unix.UnixRights(0, 1), nil, 0); err != nil {
				o.t.Fatal(err)
			}
			control := o.buf(int(room))
			h := o.msghdr(0, 0, control, room, 1)
			o.ok("recvmsg", b, h, unix.MSG_CMSG_CLOEXEC)
			if n := binary.LittleEndian.Uint64(o.at(h, 56)[40:]); n >= 20 {
				for k := 16; k+4 <= int(min(n, 24)); k += 4 {
					unix.Close(int(int32(le32(o.at(control, int(n))[k:]))))
				}
			}
		}
	}},
	{"many messages", func(o *oracle) {
		fd := o.udp("one")
		sa, _ := unix.Getsockname(int(fd))
		unix.Sendto(int(fd), []byte("twotwo"), 0, sa)
		unix.Sendto(int(fd), []byte("threethreethree"), 0, sa)
		var vec []byte
		for range 5 {
			h := o.msghdr(o.buf(16), 16, 0, 0, 4, 5)
			vec = le(vec, o.at(h, 56), uint64(0))
		}
		if n := o.ok("recvmmsg", fd, o.in(vec), 5, unix.MSG_DONTWAIT, 0); n != 3 {
			o.t.Fatalf("recvmmsg = %d", n)
		}
		unix.Sendto(int(fd), []byte("one"), 0, sa)
		o.ok("recvmmsg", fd, o.in(vec), 1, 0, o.in(uint64(1), uint64(0)))
		a, _ := o.sockets(unix.SOCK_DGRAM)
		h := o.msghdr(0, 0, 0, 0, 4)
		o.ok("sendmmsg", a, o.in(o.at(h, 56), uint64(0), o.at(h, 56), uint64(0)), 2, 0)
	}},
	{"socket options", func(o *oracle) {
		tcp := o.listener(0)
		type opt struct{ level, name, size uint64 }
		for _, p := range []opt{
			{unix.SOL_SOCKET, unix.SO_ERROR, 4}, {unix.SOL_SOCKET, unix.SO_TYPE, 4}, {unix.SOL_SOCKET, unix.SO_PROTOCOL, 100},
			{unix.SOL_SOCKET, unix.SO_REUSEADDR, 4}, {unix.SOL_SOCKET, unix.SO_LINGER, 8}, {unix.SOL_SOCKET, unix.SO_RCVTIMEO, 16},
			{unix.IPPROTO_TCP, unix.TCP_NODELAY, 4}, {unix.IPPROTO_TCP, unix.TCP_INFO, 300}, {unix.IPPROTO_TCP, unix.TCP_CONGESTION, 16},
			{unix.SOL_SOCKET, unix.SO_RCVBUF, 2}, {unix.IPPROTO_IP, unix.IP_TTL, 4}, {unix.IPPROTO_IP, unix.IP_OPTIONS, 40},
			{unix.IPPROTO_TCP, unix.TCP_INFO, 30}, {unix.SOL_SOCKET, unix.SO_MEMINFO, 100},
		} {
			o.ok("getsockopt", tcp, p.level, p.name, o.buf(int(p.size)), o.in(uint32(p.size)))
		}
		o.call("getsockopt", tcp, 1, 9999, o.buf(4), o.in(uint32(4)))
		o.call("getsockopt", tcp, 77, 1, o.buf(4), o.in(uint32(4)))
		o.call("getsockopt", tcp, 1, unix.SO_TYPE, o.guard(), o.in(uint32(4)))
		a, _ := o.sockets(unix.SOCK_STREAM)
		o.ok("getsockopt", a, unix.SOL_SOCKET, unix.SO_PEERCRED, o.buf(12), o.in(uint32(12)))
		o.call("getsockopt", a, unix.SOL_SOCKET, unix.SO_PEERGROUPS, o.buf(400), o.in(uint32(400)))
		o.call("getsockopt", a, unix.SOL_SOCKET, unix.SO_PEERGROUPS, 0, o.in(uint32(0))) // ERANGE
		o.ok("setsockopt", tcp, unix.SOL_SOCKET, unix.SO_KEEPALIVE, o.in(uint32(1)), 4)
		// A filter's length is counted in instructions.
		u := o.udp("")
		prog := []unix.SockFilter{{Code: 0x6, K: 0xffff}, {Code: 0x6, K: 0xffff}}
		if err := unix.SetsockoptSockFprog(int(u), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 2, Filter: &prog[0]}); err != nil {
			o.t.Fatal(err)
		}
		o.try("getsockopt", u, unix.SOL_SOCKET, 26, o.buf(16), o.in(uint32(2)))
	}},
	{"poll", func(o *oracle) {
		r, w := o.pipe("x")
		fds := func() uint64 { return o.in(int32(r), uint16(1), uint16(0xaaaa), int32(w), uint16(4), uint16(0x5555)) }
		o.ok("poll", fds(), 2, 0)
		o.ok("poll", fds(), 1, 0)
		o.ok("ppoll", fds(), 2, o.in(uint64(1), uint64(5)), 0, 8)
		empty, _ := o.pipe("")
		idle := func() uint64 { return o.in(int32(empty), uint16(1), uint16(0xaaaa)) }
		o.ok("poll", idle(), 1, 1)
		o.ok("ppoll", idle(), 1, o.in(uint64(0), uint64(1000)), 0, 8)
		o.call("poll", o.guard(), 1, 0)
		o.during(func() {
			o.call("poll", idle(), 1, 10000) // EINTR
			o.call("ppoll", idle(), 1, o.in(uint64(10), uint64(0)), 0, 8)
		})
		o.call("ppoll", fds(), 2, o.in(uint64(1), uint64(5)), o.buf(8), 3)
	}},
	{"select", func(o *oracle) {
		r, w := o.pipe("x")
		set := func(fd uint64) uint64 {
			var s [16]uint64
			s[fd/64] |= 1 << (fd % 64)
			return o.in(s)
		}
		o.ok("select", max(r, w)+1, set(r), set(w), set(r), o.in(uint64(1), uint64(0)))
		o.ok("select", 1024, set(r), 0, 0, o.in(uint64(1), uint64(0)))
		o.ok("pselect6", max(r, w)+1, set(r), set(w), set(r), o.in(uint64(1), uint64(0)), 0)
		empty, _ := o.pipe("")
		o.ok("select", empty+1, set(empty), 0, 0, o.in(uint64(0), uint64(100)))
		o.during(func() {
			o.call("select", empty+1, set(empty), 0, 0, o.in(uint64(10), uint64(0)))
			o.call("pselect6", empty+1, set(empty), 0, 0, o.in(uint64(10), uint64(0)), 0)
		})
		o.call("select", 9999, set(63), 0, 0, 0)
		// Exactly as much room as the kernel needs.
		n := max(r, w) + 1
		small := o.in(make([]byte, (n+63)/64*8))
		o.ok("select", n, small, 0, 0, o.in(uint64(0), uint64(0)))
	}},
	{"epoll", func(o *oracle) {
		r, w := o.pipe("x")
		ep := o.ok("epoll_create1", 0)
		defer unix.Close(int(ep))
		e2 := o.ok("epoll_create", 1)
		unix.Close(int(e2))
		for _, fd := range []uint64{r, w} {
			o.ok("epoll_ctl", uint64(ep), 1, fd, o.in(uint32(5), fd))
		}
		for _, c := range []string{"epoll_wait", "epoll_pwait"} {
			o.ok(c, uint64(ep), o.buf(120), 10, 0, 0, 8)
			o.ok(c, uint64(ep), o.buf(12), 1, 0, 0, 8)
		}
		o.try("epoll_pwait2", uint64(ep), o.buf(120), 10, o.in(uint64(0), uint64(0)), 0, 8)
		o.call("epoll_wait", uint64(ep), o.guard(), 10, 0)
		o.call("epoll_wait", uint64(ep), o.buf(12), 10, 0)
		e := o.ok("eventfd2", 5, 0)
		o.ok("read", uint64(e), o.buf(8), 8)
		unix.Close(int(e))
		in := o.ok("inotify_init1", unix.IN_NONBLOCK)
		dir := o.t.TempDir()
		o.ok("inotify_add_watch", uint64(in), o.str(dir), unix.IN_CREATE)
		os.WriteFile(filepath.Join(dir, "n"), nil, 0o600)
		o.ok("read", uint64(in), o.buf(500), 500)
		unix.Close(int(in))
		t := o.ok("timerfd_create", unix.CLOCK_MONOTONIC, 0)
		o.ok("timerfd_settime", uint64(t), 0, o.in(uint64(0), uint64(0), uint64(0), uint64(1)), o.buf(32))
		o.ok("timerfd_gettime", uint64(t), o.buf(32))
		o.ok("read", uint64(t), o.buf(8), 8)
		unix.Close(int(t))
		s := o.ok("signalfd4", ^uint64(0), o.in(uint64(1<<9)), 8, 0)
		unix.Close(int(s))
	}},
	{"time", func(o *oracle) {
		o.ok("time", o.buf(8))
		o.ok("time", 0)
		o.ok("gettimeofday", o.buf(16), o.buf(8))
		o.ok("clock_gettime", 1, o.buf(16))
		o.ok("clock_getres", 1, o.buf(16))
		o.ok("clock_getres", 1, 0)
		o.ok("times", o.buf(32))
		o.ok("nanosleep", o.in(uint64(0), uint64(1)), o.buf(16))
		o.ok("clock_nanosleep", 1, 0, o.in(uint64(0), uint64(1)), o.buf(16))
		o.during(func() {
			if ret := o.call("nanosleep", o.in(uint64(10), uint64(0)), o.buf(16)); ret != -4 {
				o.t.Errorf("nanosleep = %d, want EINTR", ret)
			}
			o.call("clock_nanosleep", 1, 0, o.in(uint64(10), uint64(0)), o.buf(16))
			o.call("clock_nanosleep", 1, 1, o.in(uint64(1<<40), uint64(0)), o.buf(16))
		})
		o.ok("getitimer", 2, o.buf(32))
		o.ok("setitimer", 2, o.in(make([]byte, 32)), o.buf(32))
		o.ok("alarm", 0)
		id := o.buf(4)
		o.ok("timer_create", 1, o.in(uint64(0), uint32(0), uint32(1), make([]byte, 48)), id)
		n := uint64(le32(o.at(id, 4)))
		o.ok("timer_settime", n, 0, o.in(uint64(0), uint64(0), uint64(100), uint64(0)), o.buf(32))
		o.ok("timer_gettime", n, o.buf(32))
		o.ok("timer_getoverrun", n)
		o.ok("timer_delete", n)
		o.try("adjtimex", o.in(make([]byte, 208)))
		o.try("clock_adjtime", 0, o.in(make([]byte, 208)))
		o.try("adjtimex", o.in(uint32(1), make([]byte, 204)))
	}},
	{"identity", func(o *oracle) {
		for _, c := range []string{"getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getpgrp"} {
			o.ok(c)
		}
		o.ok("getpgid", 0)
		o.ok("getsid", 0)
		o.ok("getresuid", o.buf(4), o.buf(4), o.buf(4))
		o.ok("getresgid", o.buf(4), o.buf(4), o.buf(4))
		n := o.ok("getgroups", 0, 0)
		o.ok("getgroups", 0, o.buf(8))
		o.ok("getgroups", uint64(n), o.buf(max(1, int(n)*4)))
		for _, v := range []uint32{0x19980330, 0x20071026, 0x20080522} {
			data := 24
			if v == 0x19980330 {
				data = 12
			}
			o.ok("capget", o.in(v, uint32(0)), o.buf(data))
		}
		o.call("capget", o.in(uint32(1), uint32(0)), o.buf(24)) // EINVAL
		o.call("capget", o.in(uint32(1), uint32(0)), 0)
		o.call("capset", o.in(uint32(1), uint32(0)), o.buf(24))
		o.ok("setfsuid", ^uint64(0))
		o.ok("setfsgid", ^uint64(0))
	}},
	{"system", func(o *oracle) {
		o.ok("uname", o.buf(390))
		o.ok("sysinfo", o.buf(112))
		o.ok("getrandom", o.buf(33), 33, 0)
		o.call("getrandom", o.buf(33), 100, 0)
		o.ok("getrlimit", 7, o.buf(16))
		o.ok("prlimit64", 0, 7, 0, o.buf(16))
		o.ok("getrusage", 0, o.buf(144))
		o.ok("getcpu", o.buf(4), o.buf(4), 0)
		o.ok("getpriority", 0, 0)
		o.try("syslog", 3, o.buf(500), 500)
		o.try("syslog", 10, 0, 0)
		o.try("seccomp", 3, 0, o.buf(6))
		o.ok("personality", 0xffffffff)
		o.ok("ioprio_get", 1, 0)
		o.ok("sync")
	}},
	{"scheduling", func(o *oracle) {
		o.ok("sched_yield")
		o.ok("sched_getaffinity", 0, 128, o.buf(128))
		o.ok("sched_getscheduler", 0)
		o.ok("sched_getparam", 0, o.buf(4))
		attr := o.buf(48)
		o.ok("sched_getattr", 0, attr, 48, 0)
		o.ok("sched_getattr", 0, o.buf(56), 56, 0)
		o.ok("sched_getattr", 0, o.buf(200), 200, 0)
		big := o.in(uint32(200), make([]byte, 44), make([]byte, 100), ^uint64(0), make([]byte, 44))
		o.call("sched_setattr", 0, big, 0) // E2BIG
		o.ok("sched_rr_get_interval", 0, o.buf(16))
		o.ok("sched_get_priority_max", 1)
		o.ok("sched_get_priority_min", 1)
	}},
	{"signals", func(o *oracle) {
		o.ok("rt_sigaction", 10, 0, o.buf(32), 8)
		o.ok("rt_sigprocmask", 0, 0, o.buf(8), 8)
		o.ok("rt_sigpending", o.buf(8), 8)
		o.ok("rt_sigpending", o.buf(4), 4)
		o.ok("sigaltstack", 0, o.buf(24))
		o.ok("kill", uint64(os.Getpid()), 0)
		o.ok("tgkill", uint64(os.Getpid()), uint64(unix.Gettid()), 0)
		o.ok("tkill", uint64(unix.Gettid()), 0)
		// A pending signal, taken from the queue.
		set := uint64(1 << (unix.SIGUSR2 - 1))
		old := o.buf(8)
		o.ok("rt_sigprocmask", 0, o.in(set), old, 8)
		o.ok("tgkill", uint64(os.Getpid()), uint64(unix.Gettid()), uint64(unix.SIGUSR2))
		o.ok("rt_sigtimedwait", o.in(set), o.buf(128), o.in(uint64(1), uint64(0)), 8)
		o.ok("tgkill", uint64(os.Getpid()), uint64(unix.Gettid()), uint64(unix.SIGUSR2))
		o.ok("rt_sigtimedwait", o.in(set), 0, 0, 8)
		o.call("rt_sigtimedwait", o.in(set), o.buf(128), o.in(uint64(0), uint64(0)), 8) // EAGAIN
		o.ok("rt_sigprocmask", 2, old, 0, 8)
	}},
	{"processes", func(o *oracle) {
		o.ok("wait4", o.child(), o.buf(4), 0, o.buf(144))
		o.ok("waitid", 1, o.child(), o.buf(128), unix.WEXITED, o.buf(144))
		o.call("waitid", 1, 999999, o.buf(128), unix.WEXITED, 0) // ECHILD
		o.call("wait4", 999999, o.buf(4), 0, o.buf(144))
		slow := o.child()
		o.call("waitid", 1, slow, o.buf(128), unix.WEXITED|unix.WNOHANG, o.buf(144))
		o.call("wait4", slow, o.buf(4), 0, 0)
		nr, _ := Number("clone")
		a := [6]uint64{unix.CLONE_PARENT_SETTID | uint64(unix.SIGCHLD), 0, o.buf(4), 0}
		pid := o.watch(nr, a, func() int64 { return cloneAndExit(a) })
		o.ok("wait4", uint64(pid), o.buf(4), unix.WALL, 0)
		a = [6]uint64{unix.CLONE_PIDFD | uint64(unix.SIGCHLD), 0, o.buf(4), 0}
		pid = o.watch(nr, a, func() int64 { return cloneAndExit(a) })
		unix.Close(int(le32(o.at(a[2], 4))))
		o.ok("wait4", uint64(pid), o.buf(4), 0, 0)
		o.ok("get_robust_list", 0, o.buf(8), o.buf(8))
		p := o.ok("pidfd_open", uint64(os.Getpid()), 0)
		o.ok("pidfd_send_signal", uint64(p), 0, 0, 0)
		o.try("pidfd_getfd", uint64(p), 9999, 0)
		unix.Close(int(p))
		o.ok("kcmp", uint64(os.Getpid()), uint64(os.Getpid()), 1, 0, 0)
		o.ok("getpgid", 0)
	}},
	{"futex", func(o *oracle) {
		o.ok("futex", o.in(uint32(0)), 1, 1)
		o.call("futex", o.in(uint32(1)), 0, 0, o.in(uint64(0), uint64(1)))
		o.call("futex", o.in(uint32(0)), 0, 0, o.in(uint64(0), uint64(1)))
		o.call("futex", o.in(uint32(0)), 9|128, 0, o.in(uint64(0), uint64(1)), 0, 0xffffffff)
		o.ok("futex", o.in(uint32(0)), 3, 1, 1, o.in(uint32(0)))
		o.ok("futex", o.in(uint32(0)), 4, 1, 1, o.in(uint32(0)), 0)
		// WAKE_OP: the second word becomes 7.
		o.ok("futex", o.in(uint32(0)), 5, 1, 1, o.in(uint32(0)), 7<<12)
		o.call("futex", o.in(uint32(0)), 99, 1)
		o.ok("membarrier", 0, 0)
	}},
	{"prctl", func(o *oracle) {
		o.ok("prctl", unix.PR_GET_NAME, o.buf(16))
		o.ok("prctl", unix.PR_GET_PDEATHSIG, o.buf(4))
		o.ok("prctl", unix.PR_GET_CHILD_SUBREAPER, o.buf(4))
		o.ok("prctl", unix.PR_GET_TSC, o.buf(4))
		o.try("prctl", unix.PR_GET_TID_ADDRESS, o.buf(8))
		o.try("prctl", prGetAuxv, o.buf(1000), 1000)
		o.try("prctl", prGetAuxv, o.buf(64), 64)
		o.try("prctl", unix.PR_SCHED_CORE, 0, uint64(os.Getpid()), 0, o.buf(8))
		for _, op := range []uint64{unix.PR_GET_DUMPABLE, unix.PR_GET_KEEPCAPS, unix.PR_GET_SECUREBITS, unix.PR_GET_TIMERSLACK, unix.PR_GET_NO_NEW_PRIVS} {
			o.ok("prctl", op, 0, 0, 0, 0)
		}
		for _, op := range []uint64{unix.PR_GET_UNALIGN, unix.PR_GET_FPEMU, unix.PR_GET_FPEXC, unix.PR_GET_ENDIAN, 99999} {
			o.call("prctl", op, o.buf(64))
		}
		o.ok("arch_prctl", archGetFS, o.buf(8))
		o.ok("arch_prctl", archGetGS, o.buf(8))
		for _, op := range []uint64{archGetXcompSupp, archGetXcompPerm, archGetXcompGuest, archGetUntagMask, archGetMaxTagBits, archShstkStatus, archGetCPUID} {
			o.call("arch_prctl", op, o.buf(8))
		}
		o.call("arch_prctl", 0x9999, o.buf(8))
	}},
	{"memory", func(o *oracle) {
		page := o.buf(4096)
		o.ok("mincore", page, 4096, o.buf(1))
		o.ok("mincore", page, 4095, o.buf(1))
		big := o.buf(3 * 4096)
		o.ok("mincore", big, 2*4096+1, o.buf(3))
		o.ok("madvise", page, 4096, 0)
		o.ok("mprotect", page, 4096, 3)
		o.ok("msync", page, 4096, 4)
		o.ok("mlock", page, 4096)
		o.ok("munlock", page, 4096)
		m := o.ok("mmap", 0, 4096, 3, 0x22, ^uint64(0), 0)
		m = o.ok("mremap", uint64(m), 4096, 8192, 1, 0)
		o.ok("munmap", uint64(m), 8192)
		o.ok("brk", 0)
		o.try("get_mempolicy", o.buf(4), o.buf(128), 1024, 0, 0)
		o.try("get_mempolicy", o.buf(4), o.buf(8), 64, 0, 0)
		o.try("get_mempolicy", o.buf(4), o.buf(128), 1025, 0, 0)
		o.try("get_mempolicy", o.buf(4), 0, 0, page, 2)
		o.try("move_pages", 0, 2, o.in(page, big), 0, o.buf(8), 0)
		src := o.in("0123456789")
		pid := uint64(os.Getpid())
		o.try("process_vm_readv", pid, o.in(o.buf(4), uint64(4), o.buf(6), uint64(6)), 2, o.in(src, uint64(10)), 1, 0)
		o.try("process_vm_readv", pid, o.in(o.buf(20), uint64(20)), 1, o.in(src, uint64(10)), 1, 0)
		o.try("process_vm_readv", pid, o.in(o.buf(20), uint64(20)), 1, o.in(src, uint64(20)), 1, 0)
		o.try("process_vm_readv", pid, o.in(o.buf(4), uint64(4), o.guard(), uint64(6)), 2, o.in(src, uint64(10)), 1, 0)
	}},
	{"System V", func(o *oracle) {
		if id := o.try("shmget", 0, 4096, 0o1600); id >= 0 {
			defer raw(sysShmctl, [6]uint64{uint64(id), 0})
			o.ok("shmctl", uint64(id), 2, o.buf(112))
			o.ok("shmctl", 0, 3, o.buf(72))
			o.ok("shmctl", 0, 14, o.buf(48))
			o.try("shmctl", 0, 13, o.buf(112))
			o.call("shmctl", uint64(id), 99, o.buf(112))
		}
		if id := o.try("semget", 0, 5, 0o1600); id >= 0 {
			defer raw(sysSemctl, [6]uint64{uint64(id), 0, 0})
			o.ok("semctl", uint64(id), 0, 2, o.buf(104))
			o.ok("semctl", 0, 0, 3, o.buf(40))
			o.ok("semctl", 0, 0, 19, o.buf(40))
			o.ok("semctl", uint64(id), 0, 13, o.buf(10))
			o.ok("semctl", uint64(id), 0, 12, 0)
			o.ok("semop", uint64(id), o.in(uint16(0), int16(1), uint16(0)), 1)
		}
		if id := o.try("msgget", 0, 0o1600); id >= 0 {
			defer raw(sysMsgctl, [6]uint64{uint64(id), 0})
			o.ok("msgsnd", uint64(id), o.in(uint64(1), "hello"), 5, 0)
			o.ok("msgrcv", uint64(id), o.buf(8+100), 100, 0, 0)
			o.ok("msgsnd", uint64(id), o.in(uint64(1), "hello"), 5, 0)
			o.ok("msgrcv", uint64(id), o.buf(8+2), 2, 0, 0x1000)
			o.call("msgrcv", uint64(id), o.buf(8+2), 2, 0, ipcNoWait)
			o.ok("msgctl", uint64(id), 2, o.buf(120))
			o.ok("msgctl", 0, 3, o.buf(32))
			o.ok("msgctl", 0, 12, o.buf(32))
		}
	}},
	{"message queues", func(o *oracle) {
		name := o.str("pyrr-oracle")
		q := o.try("mq_open", name, unix.O_CREAT|unix.O_RDWR|unix.O_NONBLOCK, 0o600, o.in(uint64(0), uint64(2), uint64(16), uint64(0), make([]byte, 32)))
		if q < 0 {
			return
		}
		defer unix.Close(int(q))
		o.ok("mq_unlink", name)
		o.ok("mq_getsetattr", uint64(q), 0, o.buf(64))
		o.ok("mq_timedsend", uint64(q), o.in("hello"), 5, 3, 0)
		o.ok("mq_timedreceive", uint64(q), o.buf(16), 16, o.buf(4), 0)
		o.call("mq_timedreceive", uint64(q), o.buf(16), 16, o.buf(4), 0)
	}},
	{"keys and modules", func(o *oracle) {
		o.try("keyctl", 0, ^uint64(2), 1)
		session := ^uint64(2) // KEY_SPEC_SESSION_KEYRING
		o.try("keyctl", 6, session, o.buf(200), 200)
		o.try("keyctl", 6, session, o.buf(3), 3)
		o.try("keyctl", 11, session, o.buf(64), 64)
		o.try("keyctl", 31, o.buf(16), 16)
		o.call("keyctl", 999, 0)
		size := func(n uint32) uint64 { return o.in(n) }
		o.try("lsm_list_modules", o.buf(256), size(256), 0)
		o.try("lsm_list_modules", o.buf(4), size(4), 0)
		o.try("lsm_get_self_attr", 100, o.buf(4096), size(4096), 0)
		o.try("lsm_get_self_attr", 100, 0, size(0), 0)
	}},
	{"ioctl", func(o *oracle) {
		r, _ := o.pipe("abc")
		o.ok("ioctl", r, unix.TIOCINQ, o.buf(4))
		o.ok("ioctl", r, 0x5451, 0)
		o.call("ioctl", r, unix.TCGETS, o.buf(36))
		o.call("ioctl", r, 0xdeadbeef, o.buf(36))
		_, fd := o.file("x")
		o.try("ioctl", fd, 0x80086601, o.buf(4))
		o.try("ioctl", fd, 0x80087601, o.buf(4))
		o.try("ioctl", fd, 0x801c581f, o.buf(28))
		o.try("ioctl", fd, 2, o.buf(4))
		o.try("ioctl", fd, fsIocFiemap, o.in(uint64(0), ^uint64(0), uint32(1), uint32(0), uint32(3), uint32(0), make([]byte, 56*3)))
		o.try("ioctl", fd, fsIocFiemap, o.in(uint64(0), ^uint64(0), uint32(1), uint32(0), uint32(0), uint32(0)))
		_, fd2 := o.file("x")
		o.try("ioctl", fd, fiDedupeRange, o.in(uint64(0), uint64(1), uint16(1), uint16(0), uint32(0), int64(fd2), uint64(0), uint64(0), uint32(0), uint32(0)))
		s := o.udp("hello")
		o.ok("ioctl", s, unix.SIOCINQ, o.buf(4))
		o.ok("ioctl", s, 0x5421, o.in(uint32(1)))
		ifreq := func() uint64 { return o.in("lo\x00", make([]byte, 37)) }
		for _, req := range []uint64{unix.SIOCGIFFLAGS, unix.SIOCGIFADDR, unix.SIOCGIFNETMASK, unix.SIOCGIFMTU, unix.SIOCGIFHWADDR, unix.SIOCGIFINDEX, unix.SIOCGIFTXQLEN, unix.SIOCGIFMAP} {
			o.try("ioctl", s, req, ifreq())
		}
		o.try("ioctl", s, unix.SIOCGIFNAME, o.in(make([]byte, 16), uint32(1), make([]byte, 20)))
		o.try("ioctl", s, siocgifconf, o.in(uint32(400), uint32(0), o.buf(400)))
		o.try("ioctl", s, siocgifconf, o.in(uint32(41), uint32(0), o.buf(41)))
		o.try("ioctl", s, siocgifconf, o.in(uint32(0), uint32(0), uint64(0)))
		o.try("ioctl", s, siocEthtool, o.in("lo\x00", make([]byte, 13), o.in(uint32(0xa), uint32(0)), make([]byte, 16)))
		o.try("ioctl", s, siocEthtool, o.in("lo\x00", make([]byte, 13), o.in(uint32(3), make([]byte, 192)), make([]byte, 16)))
		if rnd, err := unix.Open("/dev/urandom", unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
			o.try("ioctl", uint64(rnd), 0x80045200, o.buf(4))
			unix.Close(rnd)
		}
		ns := o.open("/proc/self/ns/net", 0)
		o.try("ioctl", ns, 0xb703, 0)
		if user, err := unix.Open("/proc/self/ns/user", unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
			o.try("ioctl", uint64(user), 0xb704, o.buf(4))
			unix.Close(user)
		}
		if p, err := unix.PidfdOpen(os.Getpid(), 0); err == nil {
			o.try("ioctl", uint64(p), 0xc000ff0b|64<<16, o.in(uint64(0xff), make([]byte, 56)))
			unix.Close(p)
		}
	}},
	{"terminals", func(o *oracle) {
		m, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err != nil {
			o.t.Skip("no terminals here: ", err)
		}
		defer unix.Close(m)
		master := uint64(m)
		o.ok("ioctl", master, unix.TIOCGPTN, o.buf(4))
		o.ok("ioctl", master, unix.TIOCSPTLCK, o.in(uint32(0)))
		s := o.ok("ioctl", master, unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY)
		defer unix.Close(int(s))
		for _, fd := range []uint64{master, uint64(s)} {
			for _, q := range []struct {
				req  uint64
				size int
			}{{unix.TCGETS, 36}, {unix.TCGETS2, 44}, {0x5405, 18}, {unix.TIOCGWINSZ, 8}, {unix.TIOCOUTQ, 4}, {unix.TIOCINQ, 4}, {unix.TIOCGETD, 4},
				{unix.TIOCGPKT, 4}, {unix.TIOCGPTLCK, 4}, {unix.TIOCGEXCL, 4}, {unix.TIOCGSOFTCAR, 4}, {unix.TIOCGDEV, 4}, {unix.TIOCMGET, 4}, {0x5456, 36}} {
				o.try("ioctl", fd, q.req, o.buf(q.size))
			}
		}
		o.ok("ioctl", uint64(s), unix.TCFLSH, 0)
		o.ok("ioctl", master, unix.TIOCSWINSZ, o.in(uint64(0)))
		o.ok("write", master, o.in("line\n"), 5)
		o.ok("read", uint64(s), o.buf(100), 100)
	}},
}

// cloneAndExit makes a process that ends at once.
//
//go:norace
//go:nosplit
func cloneAndExit(a [6]uint64) int64 {
	r, _, e := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(a[0]), uintptr(a[1]), uintptr(a[2]), uintptr(a[3]), 0, 0)
	if e != 0 {
		return -int64(e)
	}
	if r == 0 {
		for {
			syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	return int64(r)
}
