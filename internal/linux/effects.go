package linux

import (
	"encoding/binary"
	"math"
)

// Effect is one thing that a call did with a descriptor; Do says which of the
// other fields mean something.
type Effect struct {
	Do      Do
	Object  Object
	Cloexec bool
	// Offset is set where bytes were read or written at an offset that the
	// call named.
	Offset bool
	// Inside is set where the bytes did not go through the program's memory.
	Inside bool
	FD     int
	Last   int
	From   int
	Via    int
	PID    int // of a pidfd
	// Arg and Events are as Do says; of a new socket its domain and its type.
	Arg    uint32
	Events uint32
	Bytes  uint64
	// Data is the address of the bytes, 0 where they are in several places.
	Data uint64
	// Addr is a struct sockaddr, as far as it is known.
	Addr []byte
	// Pair is set for the first of two descriptors that one call made: pipe
	// and socketpair give the reading, or first, end first.
	Pair bool
	Lock Lock
}

// Lock is the bytes of a file that are locked, from Start to before End.
type Lock struct {
	Owner      LockOwner
	Start, End uint64
}

// Done is a system call that returned.
type Done struct {
	Nr   int
	Args [6]uint64
	Ret  int64
	// In holds the bytes of InArgs, or of Control.
	In []byte
	// Read returns n bytes that the call wrote at addr, or nil. It may be nil.
	Read func(addr uint64, n int) []byte
}

func (c *Done) fd(arg int8) int { return int(int32(c.Args[arg])) }

func (c *Done) bytes(addr uint64, n int) []byte {
	if c.Read == nil || addr == 0 || n <= 0 {
		return nil
	}
	return c.Read(addr, n)
}

// HasEffects reports whether a call may do something with descriptors.
func HasEffects(nr int) bool {
	return nr >= 0 && nr < len(table) && table[nr] != nil && len(table[nr].FDs) > 0
}

// Effects appends to dst what a call did with descriptors, in order, as its row
// says. What it did not do because it failed is left out.
func Effects(c *Done, dst []Effect) []Effect {
	s, ok := Lookup(c.Nr)
	if !ok {
		return dst
	}
	for i := range s.FDs {
		if u := &s.FDs[i]; u.asked(&c.Args) && u.happened(c.Ret) {
			dst = c.effect(u, dst)
		}
	}
	return dst
}

// happened reports whether a call that returned ret did what a use says.
func (u *FDUse) happened(ret int64) bool {
	switch u.Do {
	case DoClose:
		// The descriptor is gone even if close(2) reports an error of the file.
		return ret >= 0 || int(-ret) != eBadf && int(-ret) != eInval
	case DoConnect:
		return ret >= 0 || int(-ret) == eInprogress || int(-ret) == eIsconn
	case DoRead, DoWrite:
		return ret > 0
	}
	return ret >= 0
}

func (c *Done) effect(u *FDUse, dst []Effect) []Effect {
	e := Effect{Do: u.Do, Object: u.Object, Offset: u.Offset, Inside: u.Inside}
	e.Cloexec = u.Flags == onAlways || u.Flags >= 0 && uint32(c.Args[u.Flags])&u.Cloexec != 0
	if u.From >= 0 {
		e.From = c.fd(u.From)
	}
	if u.Do == DoOpen && u.Object == ObjSocket {
		e.Arg, e.Events = c.domain()
	}
	switch {
	case u.On == onTwo:
		b := c.bytes(c.Args[u.By], 8)
		if b == nil {
			return dst
		}
		first, second := e, e
		first.FD, first.Pair, second.FD = int(int32(word32(b))), true, int(int32(word32(b[4:])))
		return append(dst, first, second)
	case u.On == onOne:
		b := c.bytes(c.Args[u.By], 4)
		if b == nil {
			return dst
		}
		e.FD = int(int32(word32(b)))
	case u.On == onResult:
		e.FD = int(int32(c.Ret))
	case u.On >= 0:
		e.FD = c.fd(u.On)
	}
	e.Last = e.FD
	if u.Range {
		e.FD, e.Last = int(uint32(c.Args[u.On])), int(uint32(c.Args[u.By]))
	}
	switch u.PID {
	case onNone:
	case onResult:
		e.PID = int(c.Ret)
	default:
		e.PID = c.fd(u.PID)
	}
	return c.detail(u, e, dst)
}

// detail fills in what is of one kind of effects alone.
func (c *Done) detail(u *FDUse, e Effect, dst []Effect) []Effect {
	switch u.Do {
	case DoCopy:
		if u.On >= 0 && e.FD == e.From {
			return dst // dup2 onto itself
		}
	case DoRead, DoWrite:
		e.Bytes = uint64(c.Ret)
		if u.Many {
			e.Bytes = c.manyBytes(u)
		}
		if u.Data >= 0 && !u.Vector {
			e.Data = c.Args[u.Data]
		}
	case DoHand:
		eachRight(c.In, func(fd int) { dst = append(dst, Effect{Do: DoHand, FD: e.FD, From: fd}) })
		return dst
	case DoTake:
		return c.taken(u, &e, dst)
	case DoBind, DoConnect:
		e.Addr = c.In
	case DoSend:
		if c.Args[u.By] == 0 {
			return dst // it is connected
		}
		e.Addr = c.In
	case DoAccept, DoName, DoPeer:
		e.Addr = c.sockaddr(u.By)
	case DoShut:
		e.Arg = uint32(c.Args[u.By])
	case DoLock:
		e.Arg, e.Lock = uint32(c.Args[u.By]), Lock{u.Lock, 0, math.MaxUint64}
		if u.Lock != LockOfFile {
			e.Arg, e.Lock = lockIn(c.In, u.Lock)
		}
	case DoWatch:
		e.Arg = uint32(c.Args[u.By])
		if len(c.In) >= 4 {
			e.Events = word32(c.In)
		}
	case DoTerminal:
		b := c.bytes(c.Args[u.By], 4)
		if b == nil {
			return dst
		}
		e.Arg = word32(b)
	case DoSteal:
		e.Via = c.fd(u.By)
	}
	return append(dst, e)
}

// domain returns the domain and the type of a new socket.
func (c *Done) domain() (domain, typ uint32) {
	const typeMask = 0xf // SOCK_TYPE_MASK of linux/net.h
	return uint32(c.Args[0]), uint32(c.Args[1]) & typeMask
}

// sockaddr is the address that a call wrote at an argument, with its length
// behind the next.
func (c *Done) sockaddr(arg int8) []byte {
	if c.Args[arg] == 0 || c.Args[arg+1] == 0 {
		return nil
	}
	n := c.bytes(c.Args[arg+1], 4)
	if n == nil {
		return nil
	}
	return c.bytes(c.Args[arg], int(min(word32(n), 128)))
}

// Operations of flock(2), which stand for those of record locks too.
const (
	LockShared    = 1
	LockExclusive = 2
	LockNone      = 8
)

// flockSize is the size of struct flock: l_type and l_whence at 0 and 2, l_start
// at 8, l_len at 16 (fcntl(2)).
const flockSize = 32

// lockIn says what a struct flock asks for. Where it is not known, or counts from
// a position that is not, it is taken for the whole file.
func lockIn(in []byte, of LockOwner) (op uint32, l Lock) {
	l = Lock{of, 0, math.MaxUint64}
	op = LockExclusive
	if len(in) < 24 {
		return op, l
	}
	switch binary.LittleEndian.Uint16(in) {
	case 0:
		op = LockShared
	case 2:
		op = LockNone
	}
	start, n := int64(word64(in[8:])), int64(word64(in[16:]))
	if binary.LittleEndian.Uint16(in[2:]) != 0 || start < 0 || n < 0 && start+n < 0 {
		return op, l
	}
	switch {
	case n < 0:
		l.Start, l.End = uint64(start+n), uint64(start)
	case n == 0:
		l.Start = uint64(start)
	default:
		l.Start, l.End = uint64(start), uint64(start)+uint64(n)
	}
	return op, l
}

// LockWanted says which lock a call waits for or takes, and on which descriptor.
func LockWanted(nr int, args [6]uint64, in []byte) (fd int, op uint32, l Lock, ok bool) {
	s, known := Lookup(nr)
	if !known {
		return 0, 0, l, false
	}
	c := Done{Nr: nr, Args: args, In: in}
	for i := range s.FDs {
		if u := &s.FDs[i]; u.Do == DoLock && u.asked(&args) {
			e := c.detail(u, Effect{FD: c.fd(u.On)}, nil)[0]
			return e.FD, e.Arg, e.Lock, true
		}
	}
	return 0, 0, l, false
}

// Drops returns the descriptors that a call closes or makes again, from first to
// last, as far as its arguments tell; ok is false where there are none.
func Drops(nr int, args [6]uint64) (first, last int, ok bool) {
	s, known := Lookup(nr)
	if !known {
		return 0, 0, false
	}
	c := Done{Nr: nr, Args: args}
	for i := range s.FDs {
		u := &s.FDs[i]
		switch {
		case !u.asked(&args):
		case u.Do == DoFork:
			return 0, math.MaxInt32, true // what another thread closes from here on stays open here
		case u.Range:
			return int(uint32(args[u.On])), int(uint32(args[u.By])), true
		case u.Do == DoClose || u.Do == DoCopy && u.On >= 0:
			return c.fd(u.On), c.fd(u.On), true
		}
	}
	return 0, 0, false
}

// Uses returns what a row says of descriptors, of one kind; ok is false where
// it says nothing.
func Uses(nr int, do Do) (u FDUse, ok bool) {
	s, known := Lookup(nr)
	if !known {
		return u, false
	}
	for i := range s.FDs {
		if s.FDs[i].Do == do {
			return s.FDs[i], true
		}
	}
	return u, false
}

func word32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
func word64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
