package linux

// Do says what a system call does with a descriptor.
type Do uint8

// What calls do with descriptors.
const (
	DoOpen     Do = iota + 1 // FD is new, of kind Object
	DoCopy                   // FD is another number for the open file of From
	DoClose                  // the descriptors FD to Last are closed
	DoRead                   // Bytes are taken from it
	DoWrite                  // Bytes are put into it
	DoBind                   // Addr is its own address
	DoListen                 // it takes connections
	DoConnect                // Addr is the address that it is connected to, or is being connected to
	DoAccept                 // FD is new: a connection to From; Addr is who connected
	DoName                   // Addr is its own address, which the program asked for
	DoPeer                   // Addr is its peer's address, which the program asked for
	DoShut                   // Arg is the half that is shut, as in shutdown(2)
	DoWatch                  // Arg is the operation of epoll_ctl(2), From the descriptor that is watched, Events for what
	DoLock                   // Arg is the operation of flock(2); Lock says whose lock it is and on which bytes
	DoKeep                   // Cloexec says whether an exec closes the descriptors FD to Last
	DoHand                   // the open file of From is sent over FD (SCM_RIGHTS)
	DoTake                   // FD is new: it came over From (SCM_RIGHTS)
	DoSteal                  // FD is new: descriptor From of the process that the pidfd Via stands for
	DoTerminal               // FD is the master of the pseudo-terminal number Arg
	DoSend                   // Addr is where a datagram is sent
	DoFork                   // the thread has a table of descriptors of its own from here on (unshare)
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
	On     int8   // argument with the descriptor; onResult, onTwo or onOne: the ints that argument By points to
	From   int8   // argument with the descriptor that it comes from
	By     int8   // argument with the address, the ints, the operation, the last of a range, the pidfd
	Object Object // of DoOpen
	// Flags is the argument whose bit Cloexec sets close-on-exec; always
	// where it is onAlways.
	Flags   int8
	Cloexec uint32
	// Data is the argument with the bytes of DoRead and DoWrite, in one piece;
	// with Vector it is an array of struct iovec, whose length follows. Where Msg
	// is an argument, it points to the struct msghdr that says where they are, with
	// Many to as many struct mmsghdr as the result says.
	Data   int8
	Msg    int8
	Vector bool
	Many   bool
	Offset bool // at an offset that the call names
	Inside bool // the bytes go from one descriptor to another, and not through memory
	Range  bool // the descriptors from the number On to the number By
	// PID is the argument with the process that a pidfd stands for, or onResult.
	PID  int8
	Lock LockOwner // of DoLock
	// The call does it only where argument If, of which the bits of Mask count, is
	// Is.
	If       int8
	Mask, Is uint32
}

// LockOwner says what a lock on a file belongs to.
type LockOwner uint8

// The owners of locks.
const (
	LockOfFile    LockOwner = iota + 1 // the open file, the whole of it: flock(2)
	LockOfProcess                      // the process and the file on the disk, a range: F_SETLK of fcntl(2)
	LockOfRange                        // the open file, a range: F_OFD_SETLK
)

// FromResult reports whether the descriptor is the call's result.
func (u FDUse) FromResult() bool { return u.On == onResult }

// Where a descriptor stands, if it is in no argument.
const (
	onNone   int8 = -1
	onResult int8 = -2
	onTwo    int8 = -3
	onAlways int8 = -4 // of Flags: close-on-exec without being asked
	onOne    int8 = -5
)

// allBits is the Mask of a condition on a whole argument.
const allBits = 0xffffffff

func use(do Do, on int8) FDUse {
	return FDUse{Do: do, On: on, From: onNone, By: onNone, Flags: onNone, Data: onNone, Msg: onNone, PID: onNone, If: onNone}
}

func opens(o Object, flags int8, cloexec uint32) []FDUse {
	return fds(opened(o, flags, cloexec))
}

func opened(o Object, flags int8, cloexec uint32) FDUse {
	u := use(DoOpen, onResult)
	u.Object, u.Flags, u.Cloexec = o, flags, cloexec
	return u
}

// opensPeer is TIOCGPTPEER of ioctl_tty(2): the other end of a pseudo-terminal.
func opensPeer() FDUse {
	u := use(DoOpen, onResult).where(1, allBits, tiocgptpeer)
	u.Object, u.From, u.Flags, u.Cloexec = ObjFile, 0, 2, oCloexec
	return u
}

func opensTwo(o Object, at, flags int8) []FDUse {
	u := use(DoOpen, onTwo)
	u.Object, u.By, u.Flags, u.Cloexec = o, at, flags, oCloexec
	return []FDUse{u}
}

func reads(fd, data int8) FDUse  { u := use(DoRead, fd); u.Data = data; return u }
func writes(fd, data int8) FDUse { u := use(DoWrite, fd); u.Data = data; return u }
func locks(o LockOwner) FDUse    { u := use(DoLock, 0).by(1); u.Lock = o; return u }
func keeps(flags int8) FDUse     { u := use(DoKeep, 0); u.Flags, u.Cloexec = flags, 1; return u }

func (u FDUse) vector() FDUse                  { u.Vector = true; return u }
func (u FDUse) offset() FDUse                  { u.Offset = true; return u }
func (u FDUse) inside() FDUse                  { u.Inside = true; return u }
func (u FDUse) by(arg int8) FDUse              { u.By = arg; return u }
func (u FDUse) message(arg int8) FDUse         { u.Msg = arg; return u }
func (u FDUse) messages(arg int8) FDUse        { u.Msg, u.Many = arg, true; return u }
func (u FDUse) upTo(arg int8) FDUse            { u.By, u.Range = arg, true; return u }
func (u FDUse) process(arg int8) FDUse         { u.PID = arg; return u }
func (u FDUse) cloexec(f int8, b uint32) FDUse { u.Flags, u.Cloexec = f, b; return u }

// where makes a use depend on an argument.
func (u FDUse) where(arg int8, mask, is uint32) FDUse {
	u.If, u.Mask, u.Is = arg, mask, is
	return u
}

// notPeeking: what is looked at stays to be read.
func (u FDUse) notPeeking(flags int8) FDUse { return u.where(flags, msgPeek|msgErrqueue, 0) }

// asked reports whether the arguments are such that the call does it.
func (u *FDUse) asked(args *[6]uint64) bool {
	return u.If < 0 || uint32(args[u.If])&u.Mask == u.Is
}

func copies(from, flags int8, cloexec uint32) []FDUse {
	return fds(copied(from, flags, cloexec))
}

func copied(from, flags int8, cloexec uint32) FDUse {
	u := use(DoCopy, onResult)
	u.From, u.Flags, u.Cloexec = from, flags, cloexec
	return u
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

func watches(epoll, fd, op int8) FDUse { u := use(DoWatch, epoll).by(op); u.From = fd; return u }

// hands and takes are descriptors that go with messages.
func hands(fd, msg int8) FDUse { return use(DoHand, fd).message(msg) }

func takes(from, flags int8) FDUse {
	u := use(DoTake, onNone)
	u.From, u.Flags, u.Cloexec = from, flags, msgCmsgCloexec
	return u
}

// steals is pidfd_getfd(2).
func steals(pidfd, fd int8) FDUse {
	u := use(DoSteal, onResult).by(pidfd)
	u.From, u.Flags = fd, onAlways
	return u
}

func fds(u ...FDUse) []FDUse { return u }
