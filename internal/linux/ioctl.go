package linux

import (
	"fmt"
)

// ioctl requests name a size and a direction in their bits (asm-generic/ioctl.h):
// 2 bits direction, 14 size, 8 type, 8 number. Old ones do not, and some of the
// new ones lie, so the table below comes first.
const (
	iocWrite = 1 // the program gives data
	iocRead  = 2 // the program gets data
)

func iocDir(req uint32) uint32  { return req >> 30 }
func iocSize(req uint32) uint64 { return uint64(req >> 16 & 0x3fff) }
func iocType(req uint32) uint8  { return uint8(req >> 8) }
func iocNr(req uint32) uint8    { return uint8(req) }

// ioctlReq is one known request and the bytes that it writes at its argument.
type ioctlReq struct {
	name string
	size uint16
}

// ioctls lists the requests whose output their bits do not tell
// (asm-generic/ioctls.h, linux/sockios.h, linux/fs.h and others; sizes are of
// x86-64).
var ioctls = map[uint32]ioctlReq{
	// Terminals: ioctl_tty(2).
	0x5401: {"TCGETS", 36}, 0x5402: {"TCSETS", 0}, 0x5403: {"TCSETSW", 0}, 0x5404: {"TCSETSF", 0},
	0x5405: {"TCGETA", 18}, 0x5406: {"TCSETA", 0}, 0x5407: {"TCSETAW", 0}, 0x5408: {"TCSETAF", 0},
	0x5409: {"TCSBRK", 0}, 0x540a: {"TCXONC", 0}, 0x540b: {"TCFLSH", 0}, 0x540c: {"TIOCEXCL", 0},
	0x540d: {"TIOCNXCL", 0}, 0x540e: {"TIOCSCTTY", 0}, 0x540f: {"TIOCGPGRP", 4}, 0x5410: {"TIOCSPGRP", 0},
	0x5411: {"TIOCOUTQ", 4}, 0x5412: {"TIOCSTI", 0}, 0x5413: {"TIOCGWINSZ", 8}, 0x5414: {"TIOCSWINSZ", 0},
	0x5415: {"TIOCMGET", 4}, 0x5416: {"TIOCMBIS", 0}, 0x5417: {"TIOCMBIC", 0}, 0x5418: {"TIOCMSET", 0},
	0x5419: {"TIOCGSOFTCAR", 4}, 0x541a: {"TIOCSSOFTCAR", 0}, 0x541b: {"FIONREAD", 4}, 0x541d: {"TIOCCONS", 0},
	0x541e: {"TIOCGSERIAL", 72}, 0x541f: {"TIOCSSERIAL", 0}, 0x5420: {"TIOCPKT", 0}, 0x5421: {"FIONBIO", 0},
	0x5422: {"TIOCNOTTY", 0}, 0x5423: {"TIOCSETD", 0}, 0x5424: {"TIOCGETD", 4}, 0x5425: {"TCSBRKP", 0},
	0x5427: {"TIOCSBRK", 0}, 0x5428: {"TIOCCBRK", 0}, 0x5429: {"TIOCGSID", 4},
	0x802c542a: {"TCGETS2", 44}, 0x402c542b: {"TCSETS2", 0}, 0x402c542c: {"TCSETSW2", 0}, 0x402c542d: {"TCSETSF2", 0},
	0x542e: {"TIOCGRS485", 32}, 0x542f: {"TIOCSRS485", 32}, 0x80045430: {"TIOCGPTN", 4}, 0x40045431: {"TIOCSPTLCK", 0},
	0x80045432: {"TIOCGDEV", 4}, 0x40045436: {"TIOCSIG", 0}, 0x5437: {"TIOCVHANGUP", 0}, 0x80045438: {"TIOCGPKT", 4},
	0x80045439: {"TIOCGPTLCK", 4}, 0x80045440: {"TIOCGEXCL", 4}, 0x5441: {"TIOCGPTPEER", 0},
	0x5450: {"FIONCLEX", 0}, 0x5451: {"FIOCLEX", 0}, 0x5452: {"FIOASYNC", 0}, 0x5456: {"TIOCGLCKTRMIOS", 36},
	0x5457: {"TIOCSLCKTRMIOS", 0}, 0x5459: {"TIOCSERGETLSR", 4}, 0x545c: {"TIOCMIWAIT", 0}, 0x545d: {"TIOCGICOUNT", 80},
	0x5460: {"FIOQSIZE", 8},
	// Consoles: ioctl_console(2).
	0x4b31: {"KDGETLED", 1}, 0x4b32: {"KDSETLED", 0}, 0x4b33: {"KDGKBTYPE", 1}, 0x4b2f: {"KIOCSOUND", 0},
	0x4b30: {"KDMKTONE", 0}, 0x4b3a: {"KDSETMODE", 0}, 0x4b3b: {"KDGETMODE", 4}, 0x4b44: {"KDGKBMODE", 4},
	0x4b45: {"KDSKBMODE", 0}, 0x4b62: {"KDGKBMETA", 4}, 0x4b63: {"KDSKBMETA", 0}, 0x4b64: {"KDGKBLED", 1},
	0x4b65: {"KDSKBLED", 0}, 0x5600: {"VT_OPENQRY", 4}, 0x5601: {"VT_GETMODE", 8}, 0x5602: {"VT_SETMODE", 0},
	0x5603: {"VT_GETSTATE", 6}, 0x5605: {"VT_RELDISP", 0}, 0x5606: {"VT_ACTIVATE", 0}, 0x5607: {"VT_WAITACTIVE", 0},
	0x5608: {"VT_DISALLOCATE", 0},
	// Sockets: sockios.h. struct ifreq is 40 bytes, in and out.
	0x8901: {"FIOSETOWN", 0}, 0x8902: {"SIOCSPGRP", 0}, 0x8903: {"FIOGETOWN", 4}, 0x8904: {"SIOCGPGRP", 4},
	0x8905: {"SIOCATMARK", 4}, 0x8906: {"SIOCGSTAMP", 16}, 0x8907: {"SIOCGSTAMPNS", 16},
	0x890b: {"SIOCADDRT", 0}, 0x890c: {"SIOCDELRT", 0},
	0x8910: {"SIOCGIFNAME", 40}, 0x8911: {"SIOCSIFLINK", 0}, 0x8913: {"SIOCGIFFLAGS", 40}, 0x8914: {"SIOCSIFFLAGS", 0},
	0x8915: {"SIOCGIFADDR", 40}, 0x8916: {"SIOCSIFADDR", 0}, 0x8917: {"SIOCGIFDSTADDR", 40}, 0x8918: {"SIOCSIFDSTADDR", 0},
	0x8919: {"SIOCGIFBRDADDR", 40}, 0x891a: {"SIOCSIFBRDADDR", 0}, 0x891b: {"SIOCGIFNETMASK", 40}, 0x891c: {"SIOCSIFNETMASK", 0},
	0x891d: {"SIOCGIFMETRIC", 40}, 0x891e: {"SIOCSIFMETRIC", 0}, 0x8921: {"SIOCGIFMTU", 40}, 0x8922: {"SIOCSIFMTU", 0},
	0x8923: {"SIOCSIFNAME", 0}, 0x8924: {"SIOCSIFHWADDR", 0}, 0x8927: {"SIOCGIFHWADDR", 40}, 0x8931: {"SIOCADDMULTI", 0},
	0x8932: {"SIOCDELMULTI", 0}, 0x8933: {"SIOCGIFINDEX", 40}, 0x8935: {"SIOCGIFPFLAGS", 40}, 0x8938: {"SIOCGIFCOUNT", 40},
	0x8942: {"SIOCGIFTXQLEN", 40}, 0x8943: {"SIOCSIFTXQLEN", 0}, 0x8947: {"SIOCGMIIPHY", 40}, 0x8948: {"SIOCGMIIREG", 40},
	0x894b: {"SIOCOUTQNSD", 4}, 0x894c: {"SIOCGSKNS", 0}, 0x8954: {"SIOCGARP", 68}, 0x8953: {"SIOCDARP", 0}, 0x8955: {"SIOCSARP", 0},
	0x8970: {"SIOCGIFMAP", 40}, 0x89a0: {"SIOCBRADDBR", 0}, 0x89a1: {"SIOCBRDELBR", 0},
	// Files: ioctl_fs(2) and others. The kernel writes an int for the flags and
	// the block size, whatever the request says.
	0x0001: {"FIBMAP", 4}, 0x0002: {"FIGETBSZ", 4}, 0x80086601: {"FS_IOC_GETFLAGS", 4}, 0x40086602: {"FS_IOC_SETFLAGS", 0},
	0x80087601: {"FS_IOC_GETVERSION", 4}, 0x40087602: {"FS_IOC_SETVERSION", 0}, 0x801c581f: {"FS_IOC_FSGETXATTR", 28},
	0x401c5820: {"FS_IOC_FSSETXATTR", 0}, 0xc0045877: {"FIFREEZE", 4}, 0xc0045878: {"FITHAW", 4}, 0xc0185879: {"FITRIM", 24},
	0x40049409: {"FICLONE", 0}, 0x4020940d: {"FICLONERANGE", 0}, 0x81009431: {"FS_IOC_GETFSLABEL", 256}, 0x41009432: {"FS_IOC_SETFSLABEL", 0},
	0x80111500: {"FS_IOC_GETFSUUID", 17}, 0x80811501: {"FS_IOC_GETFSSYSFSPATH", 129},
	0x82187201: {"VFAT_IOCTL_READDIR_BOTH", 560}, 0x82187202: {"VFAT_IOCTL_READDIR_SHORT", 560},
	0x80047210: {"FAT_IOCTL_GET_ATTRIBUTES", 4}, 0x40047211: {"FAT_IOCTL_SET_ATTRIBUTES", 0}, 0x80047213: {"FAT_IOCTL_GET_VOLUME_ID", 4},
	// Block devices and loop devices.
	0x125d: {"BLKROSET", 0}, 0x125e: {"BLKROGET", 4}, 0x125f: {"BLKRRPART", 0}, 0x1260: {"BLKGETSIZE", 8}, 0x1261: {"BLKFLSBUF", 0},
	0x1262: {"BLKRASET", 0}, 0x1263: {"BLKRAGET", 8}, 0x1264: {"BLKFRASET", 0}, 0x1265: {"BLKFRAGET", 8}, 0x1267: {"BLKSECTGET", 2},
	0x1268: {"BLKSSZGET", 4}, 0x80081270: {"BLKBSZGET", 4}, 0x40081271: {"BLKBSZSET", 0}, 0x80081272: {"BLKGETSIZE64", 8},
	0x1277: {"BLKDISCARD", 0}, 0x1278: {"BLKIOMIN", 4}, 0x1279: {"BLKIOOPT", 4}, 0x127a: {"BLKALIGNOFF", 4}, 0x127b: {"BLKPBSZGET", 4},
	0x127c: {"BLKDISCARDZEROES", 4}, 0x127d: {"BLKSECDISCARD", 0}, 0x127e: {"BLKROTATIONAL", 2}, 0x127f: {"BLKZEROOUT", 0},
	0x80081280: {"BLKGETDISKSEQ", 8}, 0x0301: {"HDIO_GETGEO", 16}, 0x030d: {"HDIO_GET_IDENTITY", 512},
	0x4c00: {"LOOP_SET_FD", 0}, 0x4c01: {"LOOP_CLR_FD", 0}, 0x4c02: {"LOOP_SET_STATUS", 0}, 0x4c03: {"LOOP_GET_STATUS", 168},
	0x4c04: {"LOOP_SET_STATUS64", 0}, 0x4c05: {"LOOP_GET_STATUS64", 232}, 0x4c06: {"LOOP_CHANGE_FD", 0}, 0x4c07: {"LOOP_SET_CAPACITY", 0},
	0x4c08: {"LOOP_SET_DIRECT_IO", 0}, 0x4c09: {"LOOP_SET_BLOCK_SIZE", 0}, 0x4c0a: {"LOOP_CONFIGURE", 0},
	0x4c80: {"LOOP_CTL_ADD", 0}, 0x4c81: {"LOOP_CTL_REMOVE", 0}, 0x4c82: {"LOOP_CTL_GET_FREE", 0},
	0x4600: {"FBIOGET_VSCREENINFO", 160}, 0x4602: {"FBIOGET_FSCREENINFO", 80},
	// Network tunnels: struct ifreq, whatever the request says (linux/if_tun.h).
	0x400454ca: {"TUNSETIFF", 40}, 0x800454d2: {"TUNGETIFF", 40}, 0x800454cf: {"TUNGETFEATURES", 4}, 0x400454cb: {"TUNSETPERSIST", 0},
	0x400454cc: {"TUNSETOWNER", 0}, 0x400454ce: {"TUNSETGROUP", 0}, 0x400454d0: {"TUNSETOFFLOAD", 0}, 0x800454d7: {"TUNGETVNETHDRSZ", 4},
	0x400454d8: {"TUNSETVNETHDRSZ", 0}, 0x800454d3: {"TUNGETSNDBUF", 4}, 0x400454d4: {"TUNSETSNDBUF", 0}, 0x400454c8: {"TUNSETNOCSUM", 0},
	// Namespaces: ioctl_ns(2).
	0xb701: {"NS_GET_USERNS", 0}, 0xb702: {"NS_GET_PARENT", 0}, 0xb703: {"NS_GET_NSTYPE", 0}, 0xb704: {"NS_GET_OWNER_UID", 4},
	// Effects of input devices: the kernel writes the effect's id.
	0x40304580: {"EVIOCSFF", 48},
	0x07b9:     {"IOCTL_VM_SOCKETS_GET_LOCAL_CID", 4}, // linux/vm_sockets.h
	// Random numbers: random(4).
	0x80045200: {"RNDGETENTCNT", 4}, 0x40045201: {"RNDADDTOENTCNT", 0}, 0x40085203: {"RNDADDENTROPY", 0}, 0x5204: {"RNDZAPENTCNT", 0},
	0x5206: {"RNDCLEARPOOL", 0}, 0x5207: {"RNDRESEEDCRNG", 0},
	// Those with more than their argument; see ioctlPointers.
	siocgifconf: {"SIOCGIFCONF", 16}, siocEthtool: {"SIOCETHTOOL", 40}, fsIocFiemap: {"FS_IOC_FIEMAP", 32}, fiDedupeRange: {"FIDEDUPERANGE", 24},
}

const (
	siocgifconf   = 0x8912
	siocEthtool   = 0x8946
	fsIocFiemap   = 0xc020660b
	fiDedupeRange = 0xc0189436
)

// plainIoctl reports whether the size and direction in req's bits tell all
// that it writes: for types of which no request holds pointers.
func plainIoctl(req uint32) bool {
	nr := iocNr(req)
	switch iocType(req) {
	case 'E': // linux/input.h, except for EVIOCGMASK
		return nr != 0x92
	case 'j', 'W', 0xb7, 0xff: // joysticks, watchdogs, nsfs.h, pidfd.h
		return iocDir(req) != 0 || iocType(req) == 0xff
	case 'H': // hidraw.h; higher numbers are Bluetooth's
		return nr < 0x20 && iocDir(req) != 0
	case 'p': // rtc.h; RTC_PARAM_GET at 0x13 lies, from 0xa0 on pps.h
		return nr < 0x13 || nr < 0xa0 && iocDir(req) == iocRead
	case 0x89: // SIOCGSTAMP_NEW and its like
		return iocDir(req) == iocRead
	}
	return false
}

func (c *call) ioctl() {
	req := uint32(c.args[1])
	if r, ok := ioctls[req]; ok {
		if r.size != 0 && (c.written(OnSuccess) || iocDir(req) == iocRead|iocWrite) {
			c.add(c.args[2], uint64(r.size))
			c.ioctlPointers(req)
		}
		return
	}
	if plainIoctl(req) {
		if iocDir(req)&iocRead != 0 && c.written(OnSuccess) {
			c.add(c.args[2], iocSize(req))
		}
		return
	}
	c.unknown("ioctl request %#x", req)
}

// ioctlPointers appends what a request writes besides its fixed argument.
func (c *call) ioctlPointers(req uint32) {
	arg := c.args[2]
	switch req {
	case siocgifconf:
		// struct ifconf: int ifc_len (in and out), pointer at 8.
		n, ok1 := c.word(arg, 4)
		buf, ok2 := c.word(arg+8, 8)
		if ok1 && ok2 {
			c.addReadable(buf, min(uint64(uint32(n)), maxFault))
		}
	case fsIocFiemap:
		// struct fiemap: mapped extents at 20, room for them at 24.
		mapped, ok1 := c.word(arg+20, 4)
		room, ok2 := c.word(arg+24, 4)
		if ok1 && ok2 {
			c.addReadable(arg+32, 56*uint64(min(uint32(mapped), uint32(room))))
		}
	case fiDedupeRange:
		if n, ok := c.word(arg+16, 2); ok {
			c.addReadable(arg+24, 32*uint64(uint16(n)))
		}
	case siocEthtool:
		c.ethtool(arg)
	}
}

// ethtool appends the structure that struct ifreq points at (linux/ethtool.h);
// its first word is the command.
func (c *call) ethtool(ifreq uint64) {
	data, ok1 := c.word(ifreq+16, 8)
	cmd, ok2 := c.word(data, 4)
	if !ok1 || !ok2 {
		return
	}
	switch uint32(cmd) {
	case 0x1: // ETHTOOL_GSET
		c.add(data, 44)
	case 0x3: // ETHTOOL_GDRVINFO
		c.add(data, 196)
	case 0xa: // ETHTOOL_GLINK
		c.add(data, 8)
	case 0x4c: // ETHTOOL_GLINKSETTINGS: three masks of the words told at 15
		words, ok := c.word(data+15, 1)
		if !ok {
			return
		}
		c.add(data, 48+12*uint64(max(0, int8(words))))
	default:
		c.unknown("ethtool command %#x", uint32(cmd))
	}
}

// ioctlName names a request, or gives its number.
func ioctlName(req uint32) string {
	if r, ok := ioctls[req]; ok {
		return r.name
	}
	return fmt.Sprintf("%#x", req)
}

// ioctlBlocks reports whether a request waits: for output to drain, for a modem
// line, for a console.
func ioctlBlocks(req uint32) bool {
	switch req {
	case tcsbrk, tcsbrkp, tcsetsw, tcsetsf, tcsetaw, tcsetaf, 0x402c542c, 0x402c542d, tiocmiwait,
		0x5607, 0x5605, 0xc0045877, 0xc0185879:
		return true
	}
	_, known := ioctls[req]
	return !known && !plainIoctl(req)
}
