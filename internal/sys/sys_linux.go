package sys

import "golang.org/x/sys/unix"

// What golang.org/x/sys/unix has.
type (
	CPUSet      = unix.CPUSet
	Errno       = unix.Errno
	Iovec       = unix.Iovec
	RemoteIovec = unix.RemoteIovec
	Rlimit      = unix.Rlimit
	Signal      = unix.Signal
	Stat_t      = unix.Stat_t
	Timespec    = unix.Timespec
	WaitStatus  = unix.WaitStatus
)

const (
	AF_INET         = unix.AF_INET
	CLONE_SETTLS    = unix.CLONE_SETTLS
	CLONE_VM        = unix.CLONE_VM
	F_DUPFD_CLOEXEC = unix.F_DUPFD_CLOEXEC
	MADV_DOFORK     = unix.MADV_DOFORK
	MADV_DONTFORK   = unix.MADV_DONTFORK
	MADV_DONTNEED   = unix.MADV_DONTNEED
	MADV_KEEPONFORK = unix.MADV_KEEPONFORK
	MADV_REMOVE     = unix.MADV_REMOVE
	MADV_WIPEONFORK = unix.MADV_WIPEONFORK
	MAP_ANONYMOUS   = unix.MAP_ANONYMOUS
	MAP_FIXED       = unix.MAP_FIXED
	MAP_NORESERVE   = unix.MAP_NORESERVE
	MAP_PRIVATE     = unix.MAP_PRIVATE
	MFD_CLOEXEC     = unix.MFD_CLOEXEC
	MREMAP_FIXED    = unix.MREMAP_FIXED
	MREMAP_MAYMOVE  = unix.MREMAP_MAYMOVE
	O_ACCMODE       = unix.O_ACCMODE
	O_CLOEXEC       = unix.O_CLOEXEC
	O_RDONLY        = unix.O_RDONLY
	O_RDWR          = unix.O_RDWR
	O_WRONLY        = unix.O_WRONLY
	PROT_EXEC       = unix.PROT_EXEC
	PROT_NONE       = unix.PROT_NONE
	PROT_READ       = unix.PROT_READ
	PROT_WRITE      = unix.PROT_WRITE
	RLIMIT_NOFILE   = unix.RLIMIT_NOFILE
	S_IFMT          = unix.S_IFMT
	S_IFREG         = unix.S_IFREG
	SIGABRT         = unix.SIGABRT
	SIGALRM         = unix.SIGALRM
	SIGBUS          = unix.SIGBUS
	SIGCHLD         = unix.SIGCHLD
	SIGCONT         = unix.SIGCONT
	SIGFPE          = unix.SIGFPE
	SIGHUP          = unix.SIGHUP
	SIGILL          = unix.SIGILL
	SIGINT          = unix.SIGINT
	SIGIO           = unix.SIGIO
	SIGKILL         = unix.SIGKILL
	SIGPIPE         = unix.SIGPIPE
	SIGPROF         = unix.SIGPROF
	SIGPWR          = unix.SIGPWR
	SIGQUIT         = unix.SIGQUIT
	SIGSEGV         = unix.SIGSEGV
	SIGSTOP         = unix.SIGSTOP
	SIGSYS          = unix.SIGSYS
	SIGTERM         = unix.SIGTERM
	SIGTRAP         = unix.SIGTRAP
	SIGTSTP         = unix.SIGTSTP
	SIGTTIN         = unix.SIGTTIN
	SIGTTOU         = unix.SIGTTOU
	SIGURG          = unix.SIGURG
	SIGUSR1         = unix.SIGUSR1
	SIGUSR2         = unix.SIGUSR2
	SIGVTALRM       = unix.SIGVTALRM
	SIGWINCH        = unix.SIGWINCH
	SIGXCPU         = unix.SIGXCPU
	SIGXFSZ         = unix.SIGXFSZ

	EFAULT = unix.EFAULT
	ENOENT = unix.ENOENT
	ENOMEM = unix.ENOMEM
	ESRCH  = unix.ESRCH
	EINTR  = unix.EINTR
	EINVAL = unix.EINVAL
	ENOSYS = unix.ENOSYS
	EPERM  = unix.EPERM
	EACCES = unix.EACCES
)

// Calls are those of golang.org/x/sys/unix.
var (
	ClockGettime     = unix.ClockGettime
	Close            = unix.Close
	FcntlInt         = unix.FcntlInt
	Fstat            = unix.Fstat
	Ftruncate        = unix.Ftruncate
	Getrlimit        = unix.Getrlimit
	Kill             = unix.Kill
	MemfdCreate      = unix.MemfdCreate
	Mkdev            = unix.Mkdev
	Open             = unix.Open
	ProcessVMReadv   = unix.ProcessVMReadv
	Pwrite           = unix.Pwrite
	SchedGetaffinity = unix.SchedGetaffinity
	SchedSetaffinity = unix.SchedSetaffinity
	SignalName       = unix.SignalName
	Stat             = unix.Stat
)
