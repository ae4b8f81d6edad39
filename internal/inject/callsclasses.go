package inject

import (
	"slices"

	"pyrr/internal/mem"
	unix "pyrr/internal/sys"
)

// callClass says what a buffered call writes, and what must hold for it.
type callClass struct {
	out   byte // offset in the record of the pointer that it writes to, 0 none
	kind  byte // one of the sizes
	size  uint16
	path  byte // offset in the record of the pointer to a path that it reads
	fstat byte // tells what kind of file a descriptor is
	in    byte // offset in the record of the pointer to what it wrote, of which the beginning is kept
	fixed byte // so many bytes of it; else as many as it returns, within limits
}

// How much a call writes.
const (
	sizeFixed    = 1 + iota // size bytes, where it returns 0
	sizeReturned            // as many bytes as it returns
	sizeReady               // as many struct epoll_event as it returns
	sizePolled              // all struct pollfd that it was called with
	sizeReaped              // an int, where it returns a process
	sizeSets                // sets of descriptors, in several places
	sizeNamed               // a socket's name and its length, which lie together
	sizeAlways              // size bytes, where it does not fail
)

const (
	argDI = recArgs
	argSI = recArgs + 8
	argDX = recArgs + 16
	arg10 = recArgs + 24
	arg8  = recArgs + 32
	arg9  = recArgs + 40
)

// Classes of buffered calls. Some are checked by the common code first; see
// assembleCalls.
const (
	classNone  = iota
	classFutex // FUTEX_WAKE
	classMmap  // of private anonymous memory to read and write
	classMremap
	classMunmap
	classMprotect  // not of code
	classSigaction // a question, or about a signal that is none of a trap's
	classMask      // of signals, where that delivers none
	classAdvise    // memory of the thread's own stack is given up
	classPlain     // no output
	classFill
	classIoctl // TCGETS, which fails for what is no terminal
	classFcntl // F_GETFD, F_SETFD, F_GETFL, F_SETFL
	classKill  // a question, by signal 0
	classUsage
	classTimes
	classLimits // a question, about the process itself
	// Around the calls from here on CPython lets go of the GIL: where another thread is
	// ready they are made with a stop, and then that one goes on.
	classRead    // of a regular file: rdi in the map, rdx bounded
	classWrite   // to a regular file: the same; sends
	classClose   // rdi leaves the map
	classDup2    // rsi leaves the map
	classDupTold // and gets in it what rdi has; so does the copy that fcntl makes
	classLock    // F_SETLK
	classOpen    // of a regular file or a folder
	classRecv    // from a socket that never waits
	classPath    // a path, no output
	classKnown   // on a file or a socket that is known, no output
	classPathAt  // the same as classPath behind a descriptor
	classSockopt
	classWait
	classNewfstatat
	classStat
	classFstat
	classEpollCtl
	classPipe
	classStatfs
	classFstatfs
	classList   // of attributes, with room for some
	classAttr   // the same of one
	classCopy   // from a regular file to another
	classSocket // one that is known to take what there is, or not
	classPair
	className  // of a socket, and that of who is connected, without waiting
	classPrint // to the command's own output, of which all is kept
	classExec  // of what is not there, which newfstatat says
	classGone  // which fails with ENOSYS, whether the kernel has it or not
	// Of a path below what is no folder these are made again with a stop: so
	// test runners mark their tests.
	classAccess
	classReadlink
	// Calls that may wait come last. They are tried without waiting: what
	// they return then is their result, or they are made again with a stop.
	classRecvTried
	classSendTried
	classReadTried
	classWriteTried
	// These are sure not to wait, as far as can be told: where they do all the same, and are
	// cut short, they are made with a stop. See BackOut.
	classTermRead // of the master of a terminal, once a poll says that it does not wait
	classTaken    // a connection, likewise
	classConnect  // to who listens on this machine
	classEpoll
	classPoll
	classSelect
	classCount
)

var callClasses = [classCount]callClass{
	classRead:       {out: argSI, kind: sizeReturned},
	classWrite:      {in: argSI},
	classIoctl:      {out: argDX, kind: sizeFixed, size: 36},
	classOpen:       {path: argSI},
	classRecv:       {out: argSI, kind: sizeReturned},
	classPrint:      {in: argSI},
	classLock:       {in: argDX, fixed: 32}, // struct flock
	classPath:       {path: argDI},
	classPathAt:     {path: argSI},
	classSockopt:    {in: arg10, fixed: 4},
	classWait:       {out: argSI, kind: sizeReaped},
	classRecvTried:  {out: argSI, kind: sizeReturned},
	classSendTried:  {in: argSI},
	classReadTried:  {out: argSI, kind: sizeReturned},
	classWriteTried: {in: argSI},
	classSigaction:  {out: argDX, kind: sizeFixed, size: 32},                     // struct kernel_sigaction
	classMask:       {out: argDX, kind: sizeFixed, size: 8, in: argSI, fixed: 8}, // sets of signals
	classPipe:       {out: argDI, kind: sizeFixed, size: 8},                      // two int
	classPair:       {out: arg10, kind: sizeFixed, size: 8},                      // two int
	className:       {out: argSI, kind: sizeNamed},
	classFill:       {out: argDI, kind: sizeReturned},
	classUsage:      {out: argSI, kind: sizeFixed, size: 144}, // struct rusage
	classTimes:      {out: argDI, kind: sizeAlways, size: 32}, // struct tms
	classLimits:     {out: arg10, kind: sizeFixed, size: 16},  // struct rlimit
	classStatfs:     {out: argSI, kind: sizeFixed, size: 120, path: argDI},
	classFstatfs:    {out: argSI, kind: sizeFixed, size: 120},
	classList:       {out: argSI, kind: sizeReturned, path: argDI},
	classAttr:       {out: argDX, kind: sizeReturned, path: argDI},
	classCopy:       {out: argDX, kind: sizeAlways, size: 8}, // an offset
	classEpollCtl:   {in: arg10, fixed: 12},                  // struct epoll_event
	classExec:       {path: argDI},
	classAccess:     {path: argDI},
	classReadlink:   {out: argSI, kind: sizeReturned, path: argDI},
	classNewfstatat: {out: argDX, kind: sizeFixed, size: 144, path: argSI, fstat: 1},
	classStat:       {out: argSI, kind: sizeFixed, size: 144, path: argDI},
	classFstat:      {out: argSI, kind: sizeFixed, size: 144, fstat: 1},
	classEpoll:      {out: argSI, kind: sizeReady},
	classPoll:       {out: argDI, kind: sizePolled},
	classTermRead:   {out: argSI, kind: sizeReturned},
	classTaken:      {out: argSI, kind: sizeNamed},
	classConnect:    {in: argSI, fixed: addressSize},
	classSelect:     {out: argDI, kind: sizeSets},
}

// bufferedCalls are the calls that never wait for another thread of the same
// process. close, dup2 and ftruncate may take long on some file systems, but so
// does the program's own thread then.
var bufferedCalls = map[int]byte{
	unix.SYS_READ: classRead, unix.SYS_PREAD64: classRead, unix.SYS_WRITE: classWrite, unix.SYS_PWRITE64: classWrite,
	unix.SYS_IOCTL: classIoctl, unix.SYS_FUTEX: classFutex,
	unix.SYS_CLOSE: classClose, unix.SYS_DUP2: classDupTold, unix.SYS_FCNTL: classFcntl,
	unix.SYS_GETDENTS64: classRead,
	unix.SYS_LSEEK:      classPlain, unix.SYS_FTRUNCATE: classKnown, unix.SYS_FCHOWN: classKnown, unix.SYS_FCHMOD: classKnown, unix.SYS_GETPID: classPlain,
	unix.SYS_GETTID: classPlain, unix.SYS_GETUID: classPlain, unix.SYS_GETEUID: classPlain, unix.SYS_GETGID: classPlain,
	unix.SYS_GETEGID: classPlain, unix.SYS_GETPPID: classPlain,
	unix.SYS_OPENAT: classOpen, unix.SYS_RECVFROM: classRecv, unix.SYS_SENDTO: classWrite,
	unix.SYS_MMAP: classMmap, unix.SYS_MREMAP: classMremap, unix.SYS_MUNMAP: classMunmap, unix.SYS_MPROTECT: classMprotect,
	unix.SYS_UNLINK: classPath, unix.SYS_CHMOD: classPath, unix.SYS_UNLINKAT: classPathAt, unix.SYS_MKDIRAT: classPathAt, unix.SYS_UTIMENSAT: classPathAt,
	unix.SYS_SETSOCKOPT: classSockopt, unix.SYS_LISTEN: classPlain, unix.SYS_UMASK: classPlain, unix.SYS_WAIT4: classWait,
	unix.SYS_MKDIR: classPath, unix.SYS_RMDIR: classPath, unix.SYS_RENAME: classPath,
	unix.SYS_LINK: classPath, unix.SYS_SYMLINK: classPath, unix.SYS_SYMLINKAT: classPath, unix.SYS_CHOWN: classPath, unix.SYS_LCHOWN: classPath, unix.SYS_CHDIR: classPath,
	unix.SYS_LINKAT: classPathAt, unix.SYS_FCHOWNAT: classPathAt, unix.SYS_FCHMODAT: classPathAt, unix.SYS_RENAMEAT: classPathAt, unix.SYS_RENAMEAT2: classPathAt,
	unix.SYS_ACCESS: classAccess, unix.SYS_READLINK: classReadlink, unix.SYS_RT_SIGACTION: classSigaction,
	unix.SYS_GETRANDOM: classFill, unix.SYS_GETCWD: classFill, unix.SYS_FSYNC: classKnown, unix.SYS_FDATASYNC: classKnown,
	unix.SYS_EPOLL_CTL: classEpollCtl, unix.SYS_EXECVE: classExec, unix.SYS_BRK: classPlain, unix.SYS_EPOLL_WAIT: classEpoll, unix.SYS_POLL: classPoll,
	unix.SYS_PSELECT6:       classSelect,
	unix.SYS_RT_SIGPROCMASK: classMask, unix.SYS_MADVISE: classAdvise, unix.SYS_PIPE2: classPipe, unix.SYS_CLONE3: classGone,
	unix.SYS_SOCKET: classSocket, unix.SYS_SOCKETPAIR: classPair, unix.SYS_GETSOCKNAME: className, unix.SYS_GETPEERNAME: className,
	unix.SYS_ACCEPT4: className, unix.SYS_CONNECT: classConnect, unix.SYS_SHUTDOWN: classKnown,
	unix.SYS_KILL: classKill, unix.SYS_GETRUSAGE: classUsage, unix.SYS_TIMES: classTimes, unix.SYS_PRLIMIT64: classLimits,
	unix.SYS_STATFS: classStatfs, unix.SYS_FSTATFS: classFstatfs, unix.SYS_LISTXATTR: classList, unix.SYS_LLISTXATTR: classList,
	unix.SYS_GETXATTR: classAttr, unix.SYS_LGETXATTR: classAttr, unix.SYS_SENDFILE: classCopy,
	unix.SYS_SET_ROBUST_LIST: classPlain, unix.SYS_CLOSE_RANGE: classPlain,
	unix.SYS_NEWFSTATAT: classNewfstatat, unix.SYS_STAT: classStat, unix.SYS_LSTAT: classStat, unix.SYS_FSTAT: classFstat,
}

// Permits says which calls a thread may make without a stop.
type Permits struct {
	// Sends: nobody else has to see what is sent to sockets.
	Sends bool
	// Alone: no other thread of its process waits while it waits for a disk.
	Alone bool
	// Shares: it, or another process, shows files in memory that both write to.
	// Shared are the parts of its address space that hold what it shows.
	Shares bool
	Shared [SharedParts]mem.Range
	// Borrows: it is a process that borrows the memory of another one until it
	// executes a program (vfork(2)), with descriptors of its own.
	Borrows bool
	// Streams: a receive of any new socket of bytes takes what there is.
	Streams bool
	// Masks: whoever handles a trap's signal reads what the thread blocks from Mask.
	Masks bool
}

// borrowing are the calls that no map of descriptors is needed for, nor anything
// else that the two processes have each for itself.
var borrowing = []int{unix.SYS_RT_SIGACTION, unix.SYS_EXECVE, unix.SYS_CLOSE, unix.SYS_DUP2, unix.SYS_GETPID, unix.SYS_GETTID,
	unix.SYS_RT_SIGPROCMASK, unix.SYS_CLOSE_RANGE}

// syncing are those that wait for a disk, connecting those that make sockets.
var (
	syncing    = []int{unix.SYS_FSYNC, unix.SYS_FDATASYNC}
	connecting = []int{unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_ACCEPT4, unix.SYS_CONNECT}
)

// sharing are the calls that change what shared memory shows, or where it is.
var sharing = []int{unix.SYS_FTRUNCATE, unix.SYS_MUNMAP, unix.SYS_MPROTECT, unix.SYS_MREMAP}

// entryOf is where the table has a call.
func entryOf(nr int) int {
	if nr >= firstLate {
		return nr - lateBy
	}
	return nr
}

// Permit is what makes the calls of p the ones that are buffered.
func (img *CallsArea) Permit(p Permits) []Write {
	table := make([]byte, callTable)
	for nr, class := range bufferedCalls {
		switch {
		case p.Borrows && !slices.Contains(borrowing, nr), slices.Contains(syncing, nr) && !p.Alone, nr == unix.SYS_SENDTO && !p.Sends,
			p.Shares && slices.Contains(sharing, nr), nr == unix.SYS_CLOSE_RANGE && !p.Borrows, class == classMask && !p.Masks,
			slices.Contains(connecting, nr) && !p.Streams:
		case p.Borrows && class == classDupTold:
			table[entryOf(nr)] = classDup2 // the map is that of the process whose memory it borrows
		default:
			table[entryOf(nr)] = class
		}
	}
	return []Write{{img.Data + cellShared, le(p.Shared)}, {img.Data + cellTable, table}}
}
