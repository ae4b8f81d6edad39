package linux

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

var oracleNet = []oracleCall{
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
		// All programs of a user share the few instances that there may be.
		if in := o.try("inotify_init1", unix.IN_NONBLOCK); in >= 0 {
			dir := o.t.TempDir()
			o.ok("inotify_add_watch", uint64(in), o.str(dir), unix.IN_CREATE)
			os.WriteFile(filepath.Join(dir, "n"), nil, 0o600)
			o.ok("read", uint64(in), o.buf(500), 500)
			unix.Close(int(in))
		}
		t := o.ok("timerfd_create", unix.CLOCK_MONOTONIC, 0)
		o.ok("timerfd_settime", uint64(t), 0, o.in(uint64(0), uint64(0), uint64(0), uint64(1)), o.buf(32))
		o.ok("timerfd_gettime", uint64(t), o.buf(32))
		o.ok("read", uint64(t), o.buf(8), 8)
		unix.Close(int(t))
		s := o.ok("signalfd4", ^uint64(0), o.in(uint64(1<<9)), 8, 0)
		unix.Close(int(s))
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
