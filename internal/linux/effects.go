package linux

import (
	"encoding/binary"
	"math"

	"pyrr/internal/mem"
)

// Do says what a system call does with a descriptor.
type Do uint8

// What calls do with descriptors.
const (
	DoOpen    Do = iota + 1 // FD is new, of kind Object
	DoCopy                  // FD is another number for the open file of From
	DoClose                 // the descriptors FD to Last are closed
	DoRead                  // Bytes are taken from it
	DoWrite                 // Bytes are put into it
	DoBind                  // Addr is its own address
	DoListen                // it takes connections
	DoConnect               // Addr is the address that it is connected to, or is being connected to
	DoAccept                // FD is new: a connection to From; Addr is who connected
	DoName                  // Addr is its own address, which the program asked for
	DoPeer                  // Addr is its peer's address, which the program asked for
	DoShut                  // Arg is the half that is shut, as in shutdown(2)
	DoWatch                 // Arg is the operation of epoll_ctl(2), From the descriptor that is watched, Events for what
	DoLock                  // Arg is the operation of flock(2)
	DoKeep                  // Cloexec says whether an exec closes the descriptors FD to Last
	DoHand                  // the open file of From is sent over FD (SCM_RIGHTS)
	DoTake                  // FD is new: it came over From (SCM_RIGHTS)
	DoSteal                 // FD is new: descriptor From of the process that the pidfd Via stands for
	DoFork                  // the thread has a table of descriptors of its own from here on (unshare)
)

// Object is what a descriptor stands for.
type Object uint8

// The kinds of open files.
const (
	ObjUnknown Object = iota
	ObjFile           // has a path: a regular file, a folder, a device, a FIFO
	ObjSocket
	ObjPipe
	ObjEventFD
	ObjEpoll
	ObjTimerFD
	ObjSignalFD
	ObjInotify
	ObjFanotify
	ObjPidFD
	ObjMemFD
	ObjMqueue
	ObjOther // mounts, namespaces, landlock and the like
)

var objectNames = [...]string{"unknown", "file", "socket", "pipe", "eventfd", "epoll", "timerfd", "signalfd", "inotify", "fanotify", "pidfd", "memfd", "mqueue", "other"}

func (o Object) String() string {
	if int(o) < len(objectNames) {
		return objectNames[o]
	}
	return "unknown"
}

// FDUse is what a system call does with one descriptor: part of its row.
type FDUse struct {
	Do     Do
	On     int8   // argument with the descriptor; onResult, or onTwo: the two ints at argument By
	From   int8   // argument with the descriptor that it comes from
	By     int8   // argument with the address, the two ints, the operation, the last of a range
	Object Object // of DoOpen
	// Flags is the argument whose bit Cloexec sets close-on-exec; always
	// where Cloexec is 0 and Flags set to onAlways.
	Flags   int8
	Cloexec uint32
	// Data is the argument with the bytes of DoRead and DoWrite, in one piece;
	// with Vector it is an array of struct iovec, whose length follows.
	Data   int8
	Vector bool
	Offset bool // at an offset that the call names
	Inside bool // the bytes go from one descriptor to another, and not through memory
}

// FromResult reports whether the descriptor is the call's result.
func (u FDUse) FromResult() bool { return u.On == onResult }

// Where a descriptor stands, if it is in no argument.
const (
	onNone   int8 = -1
	onResult int8 = -2
	onTwo    int8 = -3
	onAlways int8 = -4 // of Flags: close-on-exec without being asked
)

func use(do Do, on int8) FDUse {
	return FDUse{Do: do, On: on, From: onNone, By: onNone, Flags: onNone, Data: onNone}
}

func opens(o Object, flags int8, cloexec uint32) []FDUse {
	u := use(DoOpen, onResult)
	u.Object, u.Flags, u.Cloexec = o, flags, cloexec
	return []FDUse{u}
}

func opensTwo(o Object, at, flags int8) []FDUse {
	u := use(DoOpen, onTwo)
	u.Object, u.By, u.Flags, u.Cloexec = o, at, flags, oCloexec
	return []FDUse{u}
}

func reads(fd, data int8) FDUse  { u := use(DoRead, fd); u.Data = data; return u }
func writes(fd, data int8) FDUse { u := use(DoWrite, fd); u.Data = data; return u }

func (u FDUse) vector() FDUse     { u.Vector = true; return u }
func (u FDUse) offset() FDUse     { u.Offset = true; return u }
func (u FDUse) inside() FDUse     { u.Inside = true; return u }
func (u FDUse) by(arg int8) FDUse { u.By = arg; return u }

func copies(from, flags int8, cloexec uint32) []FDUse {
	u := use(DoCopy, onResult)
	u.From, u.Flags, u.Cloexec = from, flags, cloexec
	return []FDUse{u}
}

func accepts(flags int8) []FDUse {
	u := use(DoAccept, onResult)
	u.From, u.By, u.Flags, u.Cloexec = 0, 1, flags, oCloexec
	return []FDUse{u}
}

// over is copies onto a number that the call names.
func over(to, from, flags int8, cloexec uint32) FDUse {
	u := use(DoCopy, to)
	u.From, u.Flags, u.Cloexec = from, flags, cloexec
	return u
}

func watches(epoll, fd int8) FDUse { u := use(DoWatch, epoll); u.From = fd; return u }

// steals is pidfd_getfd(2).
func steals(fd int8) FDUse {
	u := use(DoSteal, onResult)
	u.From, u.Flags = fd, onAlways
	return u
}

func fds(u ...FDUse) []FDUse { return u }

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

// withEffects are the calls whose effects depend on more than their row.
var withEffects = map[int]bool{sysFcntl: true, sysIoctl: true, sysClone: true, sysUnshare: true}

var hasEffects [MaxNr + 1]bool

// HasEffects reports whether a call may do something with descriptors.
func HasEffects(nr int) bool { return nr >= 0 && nr < len(hasEffects) && hasEffects[nr] }

// Effects appends to dst what a call did with descriptors, in order. What it
// did not do because it failed is left out.
func Effects(c *Done, dst []Effect) []Effect {
	s, ok := Lookup(c.Nr)
	if !ok {
		return dst
	}
	if c.Nr == sysSendmsg && c.Ret >= 0 {
		// First, since the receiver may have them before the call returns.
		eachRight(c.In, func(fd int) { dst = append(dst, Effect{Do: DoHand, FD: c.fd(0), From: fd}) })
	}
	for i := range s.FDs {
		dst = c.effect(&s.FDs[i], dst)
	}
	switch c.Nr {
	case sysFcntl:
		dst = c.fcntlEffect(dst)
	case sysIoctl:
		dst = c.ioctlEffect(dst)
	case sysClone:
		if c.Ret > 0 && c.Args[0]&clonePidfd != 0 {
			if b := c.bytes(c.Args[2], 4); b != nil {
				dst = append(dst, Effect{Do: DoOpen, Object: ObjPidFD, FD: int(int32(word32(b))), Cloexec: true, PID: int(c.Ret)})
			}
		}
	case sysUnshare:
		if c.Ret == 0 && c.Args[0]&cloneFiles != 0 {
			dst = append(dst, Effect{Do: DoFork})
		}
	case sysRecvmsg:
		if c.Ret >= 0 {
			dst = c.taken(c.bytes(c.Args[1], msghdrSize), dst)
		}
	case sysRecvmmsg:
		for i := range min(c.Ret, maxVector) {
			dst = c.taken(c.bytes(c.Args[1]+uint64(i)*mmsghdrSize, msghdrSize), dst)
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
	if !u.happened(c.Ret) {
		return dst
	}
	e := Effect{Do: u.Do, Object: u.Object, Offset: u.Offset, Inside: u.Inside}
	e.Cloexec = u.Flags == onAlways || u.Flags >= 0 && uint32(c.Args[u.Flags])&u.Cloexec != 0
	if u.From >= 0 {
		e.From = c.fd(u.From)
	}
	switch {
	case u.On == onTwo:
		b := c.bytes(c.Args[u.By], 8)
		if b == nil {
			return dst
		}
		if u.Object == ObjSocket {
			e.Arg, e.Events = c.domain()
		}
		first, second := e, e
		first.FD, first.Pair, second.FD = int(int32(word32(b))), true, int(int32(word32(b[4:])))
		return append(dst, first, second)
	case u.On == onResult:
		e.FD = int(int32(c.Ret))
	case u.On >= 0:
		e.FD = c.fd(u.On)
	}
	e.Last = e.FD
	switch u.Do {
	case DoOpen:
		return c.opened(e, dst)
	case DoCopy:
		if c.Nr == sysDup2 && e.FD == e.From {
			return dst
		}
	case DoClose:
		return c.closed(e, dst)
	case DoRead, DoWrite:
		if !c.moved(u, &e) {
			return dst
		}
	case DoBind, DoConnect:
		e.Addr = c.In
	case DoAccept, DoName, DoPeer:
		e.Addr = c.sockaddr(u.By)
	case DoShut, DoLock:
		e.Arg = uint32(c.Args[u.By])
	case DoWatch:
		e.Arg = uint32(c.Args[1])
		if len(c.In) >= 4 {
			e.Events = word32(c.In)
		}
	case DoSteal:
		e.Via = c.fd(0)
	}
	return append(dst, e)
}

// opened completes what is known of a new descriptor.
func (c *Done) opened(e Effect, dst []Effect) []Effect {
	switch c.Nr {
	case sysSignalfd, sysSignalfd4:
		if c.fd(0) >= 0 {
			return dst // only its mask is changed
		}
	case sysPidfdOpen:
		e.PID = c.fd(0)
	}
	if e.Object == ObjSocket {
		e.Arg, e.Events = c.domain()
	}
	return append(dst, e)
}

// domain returns the domain and the type of a new socket.
func (c *Done) domain() (domain, typ uint32) {
	const typeMask = 0xf // SOCK_TYPE_MASK of linux/net.h
	return uint32(c.Args[0]), uint32(c.Args[1]) & typeMask
}

// closed is the range that a close takes away, and for close_range what else
// it may do instead.
func (c *Done) closed(e Effect, dst []Effect) []Effect {
	if c.Nr == sysCloseRange {
		e.FD, e.Last = int(uint32(c.Args[0])), int(uint32(c.Args[1]))
		if c.Args[2]&closeRangeUnshare != 0 {
			dst = append(dst, Effect{Do: DoFork})
		}
		if c.Args[2]&closeRangeCloexec != 0 {
			e.Do, e.Cloexec = DoKeep, true
		}
	}
	return append(dst, e)
}

// moved fills in how much was read or written; it is false where nothing was,
// since the data stays to be read.
func (c *Done) moved(u *FDUse, e *Effect) bool {
	e.Bytes = uint64(c.Ret)
	if u.Data >= 0 && !u.Vector {
		e.Data = c.Args[u.Data]
	}
	peek := func(arg int) bool { return c.Args[arg]&(msgPeek|msgErrqueue) != 0 }
	switch c.Nr {
	case sysRecvfrom:
		return !peek(3)
	case sysRecvmsg:
		return !peek(2)
	case sysRecvmmsg, sysSendmmsg:
		e.Bytes = 0
		for i := range min(c.Ret, maxVector) {
			if b := c.bytes(c.Args[1]+uint64(i)*mmsghdrSize+msghdrSize, 4); b != nil {
				e.Bytes += uint64(word32(b))
			}
		}
		return c.Nr == sysSendmmsg || !peek(3)
	}
	return true
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

func (c *Done) fcntlEffect(dst []Effect) []Effect {
	if c.Ret < 0 {
		return dst
	}
	switch uint32(c.Args[1]) {
	case fDupfd, fDupfdCloexec:
		return append(dst, Effect{Do: DoCopy, FD: int(int32(c.Ret)), From: c.fd(0), Cloexec: uint32(c.Args[1]) == fDupfdCloexec})
	case fSetfd:
		return append(dst, Effect{Do: DoKeep, FD: c.fd(0), Last: c.fd(0), Cloexec: c.Args[2]&1 != 0})
	}
	return dst
}

func (c *Done) ioctlEffect(dst []Effect) []Effect {
	if r := uint32(c.Args[1]); c.Ret >= 0 && (r == fioclex || r == fionclex) {
		dst = append(dst, Effect{Do: DoKeep, FD: c.fd(0), Last: c.fd(0), Cloexec: r == fioclex})
	}
	return dst
}

const (
	msghdrSize  = 56
	mmsghdrSize = 64
	maxControl  = 1 << 12
)

// taken gives the descriptors that came with a message, whose struct msghdr h
// is.
func (c *Done) taken(h []byte, dst []Effect) []Effect {
	if len(h) < msghdrSize {
		return dst
	}
	control := c.bytes(word64(h[32:]), int(min(word64(h[40:]), maxControl)))
	flags := c.Args[2]
	if c.Nr == sysRecvmmsg {
		flags = c.Args[3]
	}
	eachRight(control, func(fd int) {
		dst = append(dst, Effect{Do: DoTake, FD: fd, From: c.fd(0), Cloexec: flags&msgCmsgCloexec != 0})
	})
	return dst
}

// eachRight calls f with the descriptors of control data (cmsg(3), SCM_RIGHTS
// of unix(7)).
func eachRight(control []byte, f func(fd int)) {
	const head = 16
	for len(control) >= head {
		n := word64(control)
		if n < head || n > uint64(len(control)) {
			return
		}
		if word32(control[8:]) == solSocket && word32(control[12:]) == scmRights {
			for b := control[head:n]; len(b) >= 4; b = b[4:] {
				f(int(int32(word32(b))))
			}
		}
		control = control[min(uint64(len(control)), (n+7)&^7):]
	}
}

// MessageHeader says where the struct msghdr of a call that sends a message
// lies, and its size; 0 for other calls.
func MessageHeader(nr int, args [6]uint64) (addr uint64, n int) {
	if nr != sysSendmsg {
		return 0, 0
	}
	return args[1], msghdrSize
}

// Control says where the control data of a call that sends messages lies,
// given its struct msghdr: it says which descriptors go with it. n is 0 where
// there is none.
func Control(nr int, msghdr []byte) (addr uint64, n int) {
	if nr != sysSendmsg || len(msghdr) < msghdrSize {
		return 0, 0
	}
	return word64(msghdr[32:]), int(min(word64(msghdr[40:]), maxIn))
}

// Drops returns the descriptors that a call closes or makes anew, from first to
// last, as far as its arguments tell; ok is false where there are none.
func Drops(nr int, args [6]uint64) (first, last int, ok bool) {
	if nr == sysUnshare && args[0]&cloneFiles != 0 || nr == sysCloseRange && args[2]&closeRangeUnshare != 0 {
		return 0, math.MaxInt32, true // what another thread closes from here on stays open here
	}
	s, known := Lookup(nr)
	if !known {
		return 0, 0, false
	}
	c := Done{Nr: nr, Args: args}
	for i := range s.FDs {
		u := &s.FDs[i]
		switch {
		case nr == sysCloseRange:
			return int(uint32(args[0])), int(uint32(args[1])), true
		case u.Do == DoClose:
			return c.fd(u.On), c.fd(u.On), true
		case u.Do == DoCopy && u.On >= 0:
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

// Gives reports whether a call writes bytes of the program's memory to a
// descriptor, and which argument that is: those that Given finds.
func Gives(nr int) (arg int, ok bool) {
	u, ok := Uses(nr, DoWrite)
	return int(u.On), ok && (u.Data >= 0 || nr == sysSendmsg)
}

// Given appends to dst where the bytes lie that a call writes to a descriptor:
// all that it was given, of which it may have taken fewer.
func Given(nr int, args [6]uint64, m mem.Reader, dst []mem.Range) []mem.Range {
	u, ok := Uses(nr, DoWrite)
	switch c := (call{nr: nr, args: args, m: m, dst: dst}); {
	case !ok:
		return dst
	case nr == sysSendmsg:
		var h [msghdrSize]byte
		if m.ReadAt(h[:], args[1]) != nil {
			return dst
		}
		c.vector(word64(h[16:]), word64(h[24:]), maxRW)
		return c.dst
	case u.Data < 0:
		return dst
	case u.Vector:
		c.vector(args[u.Data], args[u.Data+1], maxRW)
		return c.dst
	default:
		c.addExact(args[u.Data], args[u.Data+1])
		return c.dst
	}
}
