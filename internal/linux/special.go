package linux

import (
	"encoding/binary"
	"fmt"
)

// harmless reports whether ret says that an operation unknown to the kernel
// was not carried out.
func harmless(ret int64) bool {
	switch int(-ret) {
	case eInval, eNosys, eNotty, eOpnotsupp, eNoprotoopt, eBadf, ePerm, eAcces:
		return ret < 0
	}
	return false
}

func (c *call) unknown(format string, a ...any) {
	if !harmless(c.ret) {
		c.err = &UnknownError{Nr: c.nr, Why: fmt.Sprintf(format, a...), Ret: c.ret}
	}
}

// check is for calls that write nothing but may start something that can't be
// recorded.
func (c *call) check() error {
	if c.err == nil && c.nr == sysSetsockopt && c.ret >= 0 && ringOption(c.args[1], c.args[2]) {
		c.unknown("a ring shared with the kernel (level %d, option %d)", int32(c.args[1]), int32(c.args[2]))
	}
	return c.err
}

// special appends the output o of a call that needs code.
func (c *call) special(o *Out) {
	a := &c.args
	ok := c.written(o.When)
	switch c.nr {
	case sysFcntl:
		c.fcntl()
	case sysIoctl:
		c.ioctl()
	case sysPrctl:
		c.prctl()
	case sysArchPrctl:
		c.archPrctl()
	case sysFutex:
		c.futex()
	case sysPtrace:
		c.ptrace()
	case sysKeyctl:
		c.keyctl()
	case sysShmctl, sysSemctl, sysMsgctl:
		c.sysv()
	case sysQuotactl, sysQuotactlFd:
		c.quotactl()
	case sysGetsockopt:
		c.getsockopt()
	case sysRecvmsg:
		if ok {
			c.msghdr(a[1], uint64(c.ret))
		}
	case sysRecvmmsg:
		c.mmsghdr()
	case sysSelect, sysPselect6:
		if ok {
			c.fdsets()
		}
	case sysProcessVmReadv:
		// The kernel may write beyond the result before it meets a bad
		// remote address.
		if ok {
			c.readableVector(a[1], a[2])
		}
	case sysClone:
		c.clone(o.Arg)
	case sysMincore:
		if ok {
			c.add(a[2], a[1]/4096+min(1, a[1]%4096))
		}
	case sysGetdents, sysGetdents64:
		c.getdents()
	default:
		if !c.sized(ok, o) {
			c.err = &UnknownError{Nr: c.nr, Why: "a special output", Ret: c.ret}
		}
	}
}

// sized adds what a call wrote whose arguments or result say how much it is; false for
// one that it does not know. ok says whether it wrote.
func (c *call) sized(ok bool, o *Out) bool {
	a := &c.args
	switch c.nr {
	case sysMsgrcv:
		if c.fault {
			c.add(a[1], 8+min(a[2], maxFault))
		} else if ok {
			c.add(a[1], 8+min(a[2], uint64(c.ret)))
		}
	case sysGetMempolicy:
		if ok && a[2] != 0 {
			c.add(a[1], min((a[2]-1+63)/64*8, 4096))
		}
	case sysCapget:
		c.capget()
	case sysNameToHandleAt:
		c.fileHandle(o.Arg)
	case sysStatmount:
		if ok && !c.fault {
			n, _ := c.word(a[1], 4)
			c.add(a[1], min(uint64(uint32(n)), a[2]))
		} else if ok {
			c.add(a[1], a[2])
		}
	case sysGetxattrat:
		c.getxattrat()
	case sysLsmGetSelfAttr:
		if n, read := c.word(a[2], 4); read && a[2] != 0 {
			if ok {
				c.addReadable(a[1], min(uint64(uint32(n)), 1<<16))
			}
			c.addExact(a[2], 4)
		}
	case sysSeccomp:
		const getNotifSizes = 3
		if ok && uint32(a[0]) == getNotifSizes {
			c.add(a[2], 6)
		}
	case sysSyslog:
		// Types 2, 3 and 4 read the log (syslog(2)).
		if t := uint32(a[0]); ok && t >= 2 && t <= 4 {
			n := uint64(uint32(a[2]))
			if !c.fault {
				n = min(n, uint64(c.ret))
			}
			c.add(a[1], n)
		}
	default:
		return false
	}
	return true
}

// msghdr appends what recvmsg writes: the fields of struct msghdr, the sender's
// address, n bytes of data and the control messages.
func (c *call) msghdr(addr, n uint64) {
	buf := pages.Get().(*[4096]byte)
	defer pages.Put(buf)
	if c.m.ReadAt(buf[:56], addr) != nil {
		return
	}
	field := func(i int) uint64 { return binary.LittleEndian.Uint64(buf[i*8:]) }
	name, namelen, iov, iovlen, control, controllen := field(0), field(1), field(2), field(3), field(4), field(5)
	c.add(addr, 56)
	if name != 0 {
		// After the call namelen is the length of the whole address, though
		// the room may have been smaller.
		c.addReadable(name, min(uint64(uint32(namelen)), 128))
	}
	if c.fault {
		n = maxRW
	}
	// With MSG_TRUNC the result may exceed the buffers.
	c.vector(iov, iovlen, n)
	c.add(control, min(controllen, maxFault))
}

func (c *call) mmsghdr() {
	const size = 64 // struct mmsghdr
	n := min(uint64(uint32(c.args[2])), maxVector)
	if !c.fault {
		if c.ret < 0 {
			return
		}
		n = min(n, uint64(c.ret))
	}
	for i := range n {
		at := c.args[1] + i*size
		l, ok := c.word(at+56, 4)
		if !ok {
			return
		}
		c.msghdr(at, uint64(uint32(l)))
		c.add(at+56, 8)
	}
}

func (c *call) readableVector(addr, count uint64) {
	for i := range min(count, maxVector) {
		base, ok1 := c.word(addr+i*16, 8)
		n, ok2 := c.word(addr+i*16+8, 8)
		if !ok1 || !ok2 {
			return
		}
		c.addReadable(base, n)
	}
}

// fdsets appends the three sets of select. The kernel takes no more of them
// than the process's table of descriptors is long, which is not known here.
func (c *call) fdsets() {
	n := int32(c.args[0])
	if n <= 0 {
		return
	}
	bytes := (uint64(n) + 63) / 64 * 8
	for _, addr := range c.args[1:4] {
		if n <= 1024 && c.ret >= 0 { // FD_SETSIZE: what every program has
			c.addExact(addr, bytes)
		} else {
			c.addReadable(addr, min(bytes, 1<<20/8))
		}
	}
}

func (c *call) clone(arg uint8) {
	if c.ret < 0 && !c.fault {
		return
	}
	f := c.args[0]
	switch {
	case arg == 2 && f&(cloneParentSettid|clonePidfd) != 0:
		c.addReadable(c.args[2], 4)
	case arg == 3 && f&cloneChildSettid != 0 && f&cloneVm != 0:
		c.addReadable(c.args[3], 4)
	}
}

func (c *call) capget() {
	if c.ret < 0 && !c.fault || c.args[1] == 0 {
		return
	}
	v, ok := c.word(c.args[0], 4)
	if !ok {
		return
	}
	n := uint64(24)
	if uint32(v) == linuxCapabilityVersion1 {
		n = 12
	}
	// With an unknown version and null data the kernel only tells its own.
	c.add(c.args[1], n)
}

// fileHandle appends struct file_handle, whose size is its own first word. On
// EOVERFLOW the kernel writes the size that it would need.
func (c *call) fileHandle(arg uint8) {
	overflow := c.ret == -eOverflow
	if c.ret < 0 && !overflow && !c.fault {
		return
	}
	addr := c.args[arg]
	if arg == 3 {
		const uniqueID = 1 // AT_HANDLE_MNT_ID_UNIQUE
		n := uint64(4)
		if c.args[4]&uniqueID != 0 {
			n = 8
		}
		c.add(addr, n)
		return
	}
	n := uint64(0)
	if v, ok := c.word(addr, 4); ok && !overflow {
		n = min(uint64(uint32(v)), 128) // MAX_HANDLE_SZ
	}
	c.add(addr, 8+n)
}

// getxattrat's value is at the address in struct xattr_args: value, size, flags
// (linux/xattr.h).
func (c *call) getxattrat() {
	if c.ret < 0 && !c.fault {
		return
	}
	value, ok1 := c.word(c.args[4], 8)
	room, ok2 := c.word(c.args[4]+8, 4)
	if !ok1 || !ok2 {
		return
	}
	n := uint64(uint32(room))
	if !c.fault {
		n = min(n, uint64(c.ret))
	}
	c.add(value, n)
}

// getdents appends the entries that the result counts, and room for one more
// (struct linux_dirent with the longest name): where the program's buffer is
// shorter than it says, the kernel stops in the middle of an entry and does not
// count it.
func (c *call) getdents() {
	const longest = 280
	count := uint64(uint32(c.args[2]))
	switch {
	case c.fault:
		c.add(c.args[1], count)
	case c.ret > 0:
		n := min(uint64(c.ret), count)
		c.addExact(c.args[1], n+readable(c.m, c.args[1]+n, min(count-n, longest)))
	}
}
