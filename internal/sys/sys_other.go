//go:build !linux

package sys

import "syscall"

// The values that Linux has.
const (
	AF_INET         = 2
	CLONE_SETTLS    = 524288
	CLONE_VM        = 256
	F_DUPFD_CLOEXEC = 1030
	MADV_DOFORK     = 11
	MADV_DONTFORK   = 10
	MADV_DONTNEED   = 4
	MADV_KEEPONFORK = 19
	MADV_REMOVE     = 9
	MADV_WIPEONFORK = 18
	MAP_ANONYMOUS   = 32
	MAP_FIXED       = 16
	MAP_NORESERVE   = 16384
	MAP_PRIVATE     = 2
	MFD_CLOEXEC     = 1
	MREMAP_FIXED    = 2
	MREMAP_MAYMOVE  = 1
	O_ACCMODE       = 3
	O_CLOEXEC       = 524288
	O_RDONLY        = 0
	O_RDWR          = 2
	O_WRONLY        = 1
	PROT_EXEC       = 4
	PROT_NONE       = 0
	PROT_READ       = 1
	PROT_WRITE      = 2
	RLIMIT_NOFILE   = 7
	S_IFMT          = 61440
	S_IFREG         = 32768

	SIGABRT   Signal = 6
	SIGALRM   Signal = 14
	SIGBUS    Signal = 7
	SIGCHLD   Signal = 17
	SIGCONT   Signal = 18
	SIGFPE    Signal = 8
	SIGHUP    Signal = 1
	SIGILL    Signal = 4
	SIGINT    Signal = 2
	SIGIO     Signal = 29
	SIGKILL   Signal = 9
	SIGPIPE   Signal = 13
	SIGPROF   Signal = 27
	SIGPWR    Signal = 30
	SIGQUIT   Signal = 3
	SIGSEGV   Signal = 11
	SIGSTOP   Signal = 19
	SIGSYS    Signal = 31
	SIGTERM   Signal = 15
	SIGTRAP   Signal = 5
	SIGTSTP   Signal = 20
	SIGTTIN   Signal = 21
	SIGTTOU   Signal = 22
	SIGURG    Signal = 23
	SIGUSR1   Signal = 10
	SIGUSR2   Signal = 12
	SIGVTALRM Signal = 26
	SIGWINCH  Signal = 28
	SIGXCPU   Signal = 24
	SIGXFSZ   Signal = 25

	EFAULT Errno = 14
	ENOENT Errno = 2
	ENOMEM Errno = 12
	ESRCH  Errno = 3
	EINTR  Errno = 4
	EINVAL Errno = 22
	ENOSYS Errno = 38
	EPERM  Errno = 1
	EACCES Errno = 13
)

// Errno is an error number of Linux.
type Errno = syscall.Errno

// Types of the calls below, without their fields where nobody reads those.
type (
	Signal int
	CPUSet [1024 / 64]uint64
	Iovec  struct {
		Base *byte
		Len  uint64
	}
	RemoteIovec struct {
		Base uintptr
		Len  int
	}
	Rlimit   struct{ Cur, Max uint64 }
	Timespec struct{ Sec, Nsec int64 }
	Stat_t   struct {
		Dev, Ino uint64
		Mode     uint32
		Size     int64
		Mtim     Timespec
		Ctim     Timespec
	}
	WaitStatus uint32
)

func (s Signal) String() string { return SignalName(s) }

// Signal makes it an os.Signal.
func (s Signal) Signal() {}

func (t *Timespec) Nano() int64 { return t.Sec*1e9 + t.Nsec }

// Set and the others are methods of a set of processors.
func (s *CPUSet) Set(cpu int) {
	if cpu >= 0 && cpu < len(s)*64 {
		s[cpu/64] |= 1 << (cpu % 64)
	}
}

func (s *CPUSet) IsSet(cpu int) bool {
	return cpu >= 0 && cpu < len(s)*64 && s[cpu/64]&(1<<(cpu%64)) != 0
}

func (s *CPUSet) Zero() { *s = CPUSet{} }

func (s *CPUSet) Count() (n int) {
	for cpu := range len(s) * 64 {
		if s.IsSet(cpu) {
			n++
		}
	}
	return n
}

// A WaitStatus is that of wait4(2): recordings hold some, as of how a process ended.

func (w WaitStatus) Exited() bool    { return w&0x7f == 0 }
func (w WaitStatus) Signaled() bool  { return w&0x7f != 0x7f && w&0x7f != 0 }
func (w WaitStatus) Stopped() bool   { return w&0xff == 0x7f }
func (w WaitStatus) Continued() bool { return w == 0xffff }
func (w WaitStatus) CoreDump() bool  { return w.Signaled() && w&0x80 != 0 }

func (w WaitStatus) ExitStatus() int {
	if !w.Exited() {
		return -1
	}
	return int(w>>8) & 0xff
}

func (w WaitStatus) Signal() Signal {
	if !w.Signaled() {
		return -1
	}
	return Signal(w & 0x7f)
}

func (w WaitStatus) StopSignal() Signal {
	if !w.Stopped() {
		return -1
	}
	return Signal(w>>8) & 0xff
}

// Mkdev is that of makedev(3), on Linux.
func Mkdev(major, minor uint32) uint64 {
	return uint64(minor&0xff) | uint64(major&0xfff)<<8 | uint64(minor&^0xff)<<12 | uint64(major&^0xfff)<<32
}

func ClockGettime(int32, *Timespec) error     { return ErrElsewhere }
func Close(int) error                         { return ErrElsewhere }
func FcntlInt(uintptr, int, int) (int, error) { return -1, ErrElsewhere }
func Fstat(int, *Stat_t) error                { return ErrElsewhere }
func Stat(string, *Stat_t) error              { return ErrElsewhere }
func Ftruncate(int, int64) error              { return ErrElsewhere }
func Getrlimit(int, *Rlimit) error            { return ErrElsewhere }
func Kill(int, Signal) error                  { return ErrElsewhere }
func MemfdCreate(string, int) (int, error)    { return -1, ErrElsewhere }
func Open(string, int, uint32) (int, error)   { return -1, ErrElsewhere }
func Pwrite(int, []byte, int64) (int, error)  { return -1, ErrElsewhere }
func SchedGetaffinity(int, *CPUSet) error     { return ErrElsewhere }
func SchedSetaffinity(int, *CPUSet) error     { return ErrElsewhere }

func ProcessVMReadv(int, []Iovec, []RemoteIovec, uint) (int, error) { return -1, ErrElsewhere }

// SignalName returns the name of a signal, "" for none.
func SignalName(s Signal) string { return signalNames[s] }

var signalNames = map[Signal]string{
	SIGABRT:   "SIGABRT",
	SIGALRM:   "SIGALRM",
	SIGBUS:    "SIGBUS",
	SIGCHLD:   "SIGCHLD",
	SIGCONT:   "SIGCONT",
	SIGFPE:    "SIGFPE",
	SIGHUP:    "SIGHUP",
	SIGILL:    "SIGILL",
	SIGINT:    "SIGINT",
	SIGIO:     "SIGIO",
	SIGKILL:   "SIGKILL",
	SIGPIPE:   "SIGPIPE",
	SIGPROF:   "SIGPROF",
	SIGPWR:    "SIGPWR",
	SIGQUIT:   "SIGQUIT",
	SIGSEGV:   "SIGSEGV",
	SIGSTOP:   "SIGSTOP",
	SIGSYS:    "SIGSYS",
	SIGTERM:   "SIGTERM",
	SIGTRAP:   "SIGTRAP",
	SIGTSTP:   "SIGTSTP",
	SIGTTIN:   "SIGTTIN",
	SIGTTOU:   "SIGTTOU",
	SIGURG:    "SIGURG",
	SIGUSR1:   "SIGUSR1",
	SIGUSR2:   "SIGUSR2",
	SIGVTALRM: "SIGVTALRM",
	SIGWINCH:  "SIGWINCH",
	SIGXCPU:   "SIGXCPU",
	SIGXFSZ:   "SIGXFSZ",
}
