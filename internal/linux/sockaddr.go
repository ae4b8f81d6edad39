package linux

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
)

// SockAddr reads a struct sockaddr as the kernel holds it. network is "inet",
// "inet6", "unix", "netlink", "packet" or "family N"; host is the address, a
// path (abstract ones begin with @), or empty. ok is false where b is too short
// for its family.
func SockAddr(b []byte) (network, host string, port int, ok bool) {
	if len(b) < 2 {
		return "", "", 0, false
	}
	family := binary.LittleEndian.Uint16(b)
	switch family {
	case 0:
		return "unspec", "", 0, true
	case 1: // sockaddr_un: unix(7)
		p := b[2:]
		if len(p) > 108 {
			p = p[:108]
		}
		if len(p) > 0 && p[0] == 0 {
			return "unix", "@" + string(p[1:]), 0, len(p) > 1
		}
		if i := strings.IndexByte(string(p), 0); i >= 0 {
			p = p[:i]
		}
		return "unix", string(p), 0, true
	case 2: // sockaddr_in: ip(7)
		if len(b) < 8 {
			return "inet", "", 0, false
		}
		return "inet", netip.AddrFrom4([4]byte(b[4:8])).String(), int(binary.BigEndian.Uint16(b[2:])), true
	case 10: // sockaddr_in6: ipv6(7)
		if len(b) < 24 {
			return "inet6", "", 0, false
		}
		host := netip.AddrFrom16([16]byte(b[8:24])).String()
		if len(b) >= 28 {
			if scope := binary.LittleEndian.Uint32(b[24:]); scope != 0 {
				host += "%" + strconv.FormatUint(uint64(scope), 10)
			}
		}
		return "inet6", host, int(binary.BigEndian.Uint16(b[2:])), true
	case 16: // sockaddr_nl: netlink(7)
		if len(b) < 12 {
			return "netlink", "", 0, false
		}
		return "netlink", "pid " + strconv.FormatUint(uint64(binary.LittleEndian.Uint32(b[4:])), 10), 0, true
	case 17: // sockaddr_ll: packet(7)
		if len(b) < 12 {
			return "packet", "", 0, false
		}
		return "packet", "interface " + strconv.FormatUint(uint64(binary.LittleEndian.Uint32(b[4:])), 10), 0, true
	case 40: // sockaddr_vm: vsock(7)
		if len(b) < 12 {
			return "vsock", "", 0, false
		}
		return "vsock", strconv.FormatUint(uint64(binary.LittleEndian.Uint32(b[8:])), 10), int(binary.LittleEndian.Uint32(b[4:])), true
	}
	return "family " + strconv.Itoa(int(family)), "", 0, true
}

// SockText shows a struct sockaddr as people write it: 127.0.0.1:80, [::1]:80,
// unix:/run/x.
func SockText(b []byte) string {
	network, host, port, ok := SockAddr(b)
	switch {
	case !ok && network == "":
		return "no address"
	case !ok && network == "unix":
		return "unix:unnamed"
	case !ok:
		return network + ":cut short"
	case network == "inet":
		return host + ":" + strconv.Itoa(port)
	case network == "inet6":
		return "[" + host + "]:" + strconv.Itoa(port)
	case network == "unix" && host == "":
		return "unix:unnamed"
	case network == "unix":
		// A name is any bytes.
		q := strconv.Quote(host)
		return "unix:" + q[1:len(q)-1]
	case network == "vsock":
		return "vsock:" + host + ":" + strconv.Itoa(port)
	case host == "":
		return network
	}
	return network + ":" + host
}
