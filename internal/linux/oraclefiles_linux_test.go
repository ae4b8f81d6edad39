package linux

import (
	"encoding/binary"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

var oracleFiles = []oracleCall{
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
}
