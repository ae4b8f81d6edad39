package linux

import (
	"encoding/binary"
	"fmt"
	"sync"

	"pyrr/internal/mem"
)

// UnknownError says that what a call wrote can't be known: a number or an
// operation that is not in the table. A recording must end there.
type UnknownError struct {
	Nr  int
	Why string // such as "ioctl request 0x1234"
	Ret int64
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("%s: %s is not known, and it returned %d", Name(e.Nr), e.Why, e.Ret)
}

// Limits on what a call's arguments can make us take.
const (
	maxVector = 1024       // UIO_MAXIOV of linux/uio.h
	maxRW     = 0x7ffff000 // MAX_RW_COUNT of linux/fs.h
	// maxFault bounds an output after EFAULT, where the kernel does not say
	// how far it came: one pipe buffer, datagram or seq_file read.
	maxFault = 4 << 20
)

// Outputs appends to dst the memory that system call nr may have written,
// given its arguments at entry, its raw result, and the memory after the call.
//
// It never leaves out a byte that the kernel writes, and stays within the
// buffers that the program passed wherever their size can be known. With an
// unknown number or operation it returns *UnknownError, unless the result says
// that nothing was done. For rows without Special or Vector outputs it neither
// allocates nor reads memory when the call succeeded, except for the length words
// of socket addresses.
func Outputs(nr int, args [6]uint64, ret int64, m mem.Reader, dst []mem.Range) ([]mem.Range, error) {
	s, ok := Lookup(nr)
	if !ok {
		if ret == -eNosys {
			return dst, nil
		}
		return dst, &UnknownError{Nr: nr, Why: "this system call", Ret: ret}
	}
	if s.Class == Refuse || nr == sysRestartSyscall {
		if ret < 0 {
			return dst, nil
		}
		return dst, &UnknownError{Nr: nr, Why: "what it writes", Ret: ret}
	}
	c := call{nr: nr, args: args, ret: ret, m: m, dst: dst, fault: ret == -eFault}
	for i := range s.Outs {
		c.out(&s.Outs[i])
	}
	if err := c.check(); err != nil {
		return c.dst, err
	}
	return c.dst, nil
}

// call is one system call whose outputs are being collected.
type call struct {
	nr    int
	args  [6]uint64
	ret   int64
	m     mem.Reader
	dst   []mem.Range
	fault bool // the kernel met a bad address: it may have written anything up to there
	err   error
}

// written reports whether outputs of the given time are there. It is true
// after a fault, when all of them may be.
func (c *call) written(w When) bool {
	return c.ret >= 0 && w != Interrupted || w == Always || w == Interrupted && interrupted(c.ret) || c.fault
}

// add appends n bytes at addr. After a failure the arguments may be junk, so
// only what can be read is taken.
func (c *call) add(addr, n uint64) {
	if c.ret < 0 {
		c.addReadable(addr, min(n, maxFault))
		return
	}
	c.addExact(addr, n)
}

func (c *call) addExact(addr, n uint64) {
	if addr != 0 && n != 0 && addr+n > addr {
		c.dst = append(c.dst, mem.Range{Addr: addr, Len: n})
	}
}

// addReadable appends the part of n bytes at addr before the first page that
// can't be read.
func (c *call) addReadable(addr, n uint64) {
	if addr == 0 || n == 0 || addr+n < addr {
		return
	}
	c.addExact(addr, readable(c.m, addr, n))
}

var pages = sync.Pool{New: func() any { return new([4096]byte) }}

// readable returns how many of n bytes at addr can be read.
func readable(m mem.Reader, addr, n uint64) uint64 {
	buf := pages.Get().(*[4096]byte)
	defer pages.Put(buf)
	for done := uint64(0); done < n; {
		k := min(uint64(len(buf))-(addr+done)%uint64(len(buf)), n-done)
		// The first byte of a page speaks for all of it.
		if m.ReadAt(buf[:1], addr+done) != nil {
			return done
		}
		done += k
	}
	return n
}

// word reads the 4 or 8 bytes at addr; ok is false where that fails.
func (c *call) word(addr uint64, size int) (v uint64, ok bool) {
	buf := pages.Get().(*[4096]byte)
	defer pages.Put(buf)
	clear(buf[:8])
	if c.m.ReadAt(buf[:size], addr) != nil {
		return 0, false
	}
	return binary.LittleEndian.Uint64(buf[:8]), true
}

func (c *call) out(o *Out) {
	if o.Size == Special {
		c.special(o)
		return
	}
	addr := c.args[o.Arg]
	if addr == 0 || !c.written(o.When) {
		return
	}
	switch o.Size {
	case Fixed:
		c.add(addr, uint64(o.N))
	case ByArg:
		c.add(addr, uint64(o.N)*uint64(uint32(c.args[o.By])))
	case ByRet:
		most := c.args[o.By]
		if !c.fault {
			most = min(most, uint64(c.ret))
		}
		c.add(addr, min(most, maxRW)*uint64(o.N))
	case ByLen:
		c.lenOut(addr, c.args[o.By], uint64(o.N))
	case Vector:
		n := uint64(c.ret)
		if c.fault {
			n = maxRW
		}
		c.vector(addr, c.args[o.By], n)
	}
}

// lenOut appends an output whose length the kernel left in the 32-bit word at
// lenAddr. The word may exceed the room that the program gave (the kernel
// tells how long a cut address was), so the output is cut at what is readable.
func (c *call) lenOut(addr, lenAddr, most uint64) {
	if lenAddr == 0 {
		return
	}
	n, ok := c.word(lenAddr, 4)
	if !ok {
		return
	}
	c.addReadable(addr, min(uint64(uint32(n)), most))
	c.addExact(lenAddr, 4)
}

// vector appends the first n bytes of the buffers of an array of struct iovec,
// and returns how many of the n were not placed.
func (c *call) vector(addr, count, n uint64) uint64 {
	if addr == 0 {
		return n
	}
	buf := pages.Get().(*[4096]byte)
	defer pages.Put(buf)
	count = min(count, maxVector)
	const perRead = 4096 / 16
	for i := uint64(0); i < count && n > 0; i += perRead {
		k := min(perRead, count-i)
		b := buf[:k*16]
		if c.m.ReadAt(b, addr+i*16) != nil {
			return n
		}
		for j := uint64(0); j < k && n > 0; j++ {
			base := binary.LittleEndian.Uint64(b[j*16:])
			l := min(binary.LittleEndian.Uint64(b[j*16+8:]), n)
			c.add(base, l)
			n -= l
		}
	}
	return n
}
