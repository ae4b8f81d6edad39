package capture

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
)

// openDetails finds what /proc/PID/fd does not say of the descriptors of a process.
type openDetails struct {
	pid, pidfd int // pidfd is -1 until it is needed
	refused    bool
	diag       int // a netlink socket plus one, 0 until it is needed, -1 where there is none
	net        map[string]linux.OpenDetail
}

func (o *openDetails) close() {
	if o.pidfd >= 0 {
		unix.Close(o.pidfd)
	}
	if o.diag > 0 {
		unix.Close(o.diag - 1)
	}
}

// of is the detail of a descriptor, as words; info is its text in /proc/PID/fdinfo.
func (o *openDetails) of(fd int, name string, info []byte) string {
	var d linux.OpenDetail
	switch {
	case strings.HasPrefix(name, "socket:["):
		inode := strings.TrimSuffix(strings.TrimPrefix(name, "socket:["), "]")
		if d = o.socket(fd); d.Type == 0 {
			d = o.listed()[inode]
		}
		if d.Domain == unix.AF_UNIX {
			d.Peer = o.peer(inode)
		}
	case name == "anon_inode:[eventpoll]":
		for line := range bytes.Lines(info) {
			var w linux.OpenWatch
			if n, _ := fmt.Sscanf(string(line), "tfd: %d events: %x", &w.FD, &w.Events); n == 2 {
				d.Watched = append(d.Watched, w)
			}
		}
	case name == "anon_inode:[pidfd]":
		d.PID, _ = strconv.Atoi(infoField(info, "Pid:"))
		d.PID = max(d.PID, 0)
	}
	return d.Words()
}

// socket asks the kernel, with a copy of the descriptor.
func (o *openDetails) socket(fd int) (d linux.OpenDetail) {
	if o.refused {
		return d
	}
	if o.pidfd < 0 {
		var err error
		if o.pidfd, err = unix.PidfdOpen(o.pid, 0); err != nil {
			o.refused = true
			return d
		}
	}
	own, err := unix.PidfdGetfd(o.pidfd, fd, 0)
	if err != nil {
		o.refused = true // a container may forbid it
		return d
	}
	defer unix.Close(own)
	option := func(name int) uint32 {
		n, _ := unix.GetsockoptInt(own, unix.SOL_SOCKET, name)
		return uint32(n)
	}
	d.Domain, d.Type, d.Listens = option(unix.SO_DOMAIN), option(unix.SO_TYPE), option(unix.SO_ACCEPTCONN) == 1
	d.Local, d.Remote = address(own, unix.SYS_GETSOCKNAME), address(own, unix.SYS_GETPEERNAME)
	return d
}

// address is an address of a socket as the system call returns it, "" where it has none.
func address(fd int, call uintptr) string {
	var b [128]byte
	n := uint32(len(b))
	if _, _, errno := unix.Syscall(call, uintptr(fd), uintptr(unsafe.Pointer(&b)), uintptr(unsafe.Pointer(&n))); errno != 0 || n < 2 {
		return ""
	}
	return linux.SockText(b[:min(n, uint32(len(b)))])
}

// netTables are the lists of sockets in /proc/PID/net.
var netTables = map[string]linux.OpenDetail{
	"tcp": {Domain: unix.AF_INET, Type: unix.SOCK_STREAM}, "tcp6": {Domain: unix.AF_INET6, Type: unix.SOCK_STREAM},
	"udp": {Domain: unix.AF_INET, Type: unix.SOCK_DGRAM}, "udp6": {Domain: unix.AF_INET6, Type: unix.SOCK_DGRAM},
	"unix": {Domain: unix.AF_UNIX},
}

// listed reads the lists of sockets, by their inodes: longer, and without other ends of
// Unix sockets, but never forbidden.
func (o *openDetails) listed() map[string]linux.OpenDetail {
	if o.net != nil {
		return o.net
	}
	o.net = map[string]linux.OpenDetail{}
	for table, d := range netTables {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", o.pid, table))
		for line := range strings.Lines(string(text)) {
			if inode, d := listedSocket(strings.Fields(line), d); inode != "" {
				o.net[inode] = d
			}
		}
	}
	return o.net
}

// listedSocket reads a line of /proc/PID/net/tcp and its like.
func listedSocket(f []string, d linux.OpenDetail) (inode string, _ linux.OpenDetail) {
	const listening = "0A" // TCP_LISTEN
	if d.Domain == unix.AF_UNIX {
		if len(f) < 7 {
			return "", d
		}
		kind, _ := strconv.ParseUint(f[4], 16, 32)
		flags, _ := strconv.ParseUint(f[3], 16, 32)
		d.Type, d.Listens, d.Local = uint32(kind), flags&0x10000 != 0, "unix:unnamed" // __SO_ACCEPTCON
		if len(f) > 7 {
			d.Local = "unix:" + strings.Replace(f[7], "@", "\x00", 1)
		}
		return f[6], d
	}
	if len(f) < 10 {
		return "", d
	}
	d.Local, d.Remote = listedAddress(f[1]), listedAddress(f[2])
	if strings.HasSuffix(d.Remote, ":0") {
		d.Remote = ""
	}
	d.Listens = f[3] == listening && d.Type == unix.SOCK_STREAM
	return f[9], d
}

// listedAddress is an address as the kernel lists it: words of 32 bits as the processor
// has them, a colon and the port.
func listedAddress(text string) string {
	host, port, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(host)
	n, bad := strconv.ParseUint(port, 16, 16)
	if err != nil || bad != nil || len(b) != 4 && len(b) != 16 {
		return ""
	}
	for i := 0; i < len(b); i += 4 {
		binary.BigEndian.PutUint32(b[i:], binary.LittleEndian.Uint32(b[i:]))
	}
	ip := net.IP(b)
	if len(b) == 16 && ip.To4() != nil {
		return fmt.Sprintf("[::ffff:%s]:%d", ip, n)
	}
	return net.JoinHostPort(ip.String(), strconv.FormatUint(n, 10))
}

// peer asks for the other end of a Unix socket (sock_diag(7)), 0 where that is not said.
func (o *openDetails) peer(inode string) uint64 {
	const (
		byFamily   = 20 // SOCK_DIAG_BY_FAMILY
		showPeer   = 4  // UDIAG_SHOW_PEER
		peerAttr   = 2  // UNIX_DIAG_PEER
		headLen    = 16 // struct nlmsghdr
		answerHead = headLen + 16
	)
	n, err := strconv.ParseUint(inode, 10, 32)
	if err != nil || o.diag < 0 {
		return 0
	}
	if o.diag == 0 {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_SOCK_DIAG)
		if o.diag = fd + 1; err != nil {
			o.diag = -1
			return 0
		}
	}
	le := binary.LittleEndian
	ask := make([]byte, headLen+24) // struct unix_diag_req
	le.PutUint32(ask, uint32(len(ask)))
	le.PutUint16(ask[4:], byFamily)
	le.PutUint16(ask[6:], unix.NLM_F_REQUEST)
	ask[headLen] = unix.AF_UNIX
	le.PutUint32(ask[headLen+4:], 0xffffffff) // any state
	le.PutUint32(ask[headLen+8:], uint32(n))
	le.PutUint32(ask[headLen+12:], showPeer)
	le.PutUint64(ask[headLen+16:], 0xffffffffffffffff) // any cookie
	var b [4096]byte
	if err := unix.Sendto(o.diag-1, ask, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0
	}
	got, _, err := unix.Recvfrom(o.diag-1, b[:], 0)
	if err != nil || got < answerHead || le.Uint16(b[4:]) != byFamily {
		return 0
	}
	for at := answerHead; at+4 <= got; {
		size, kind := int(le.Uint16(b[at:])), le.Uint16(b[at+2:])
		if size < 4 || at+size > got {
			break
		}
		if kind == peerAttr && size >= 8 {
			return uint64(le.Uint32(b[at+4:]))
		}
		at += (size + 3) &^ 3
	}
	return 0
}
