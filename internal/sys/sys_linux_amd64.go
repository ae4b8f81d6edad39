//go:build linux && amd64

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
	AF_INET           = unix.AF_INET
	CLONE_SETTLS      = unix.CLONE_SETTLS
	CLONE_VM          = unix.CLONE_VM
	F_DUPFD_CLOEXEC   = unix.F_DUPFD_CLOEXEC
	MADV_DOFORK       = unix.MADV_DOFORK
	MADV_DONTFORK     = unix.MADV_DONTFORK
	MADV_DONTNEED     = unix.MADV_DONTNEED
	MADV_KEEPONFORK   = unix.MADV_KEEPONFORK
	MADV_REMOVE       = unix.MADV_REMOVE
	MADV_WIPEONFORK   = unix.MADV_WIPEONFORK
	MAP_ANONYMOUS     = unix.MAP_ANONYMOUS
	MAP_FIXED         = unix.MAP_FIXED
	MAP_NORESERVE     = unix.MAP_NORESERVE
	MAP_PRIVATE       = unix.MAP_PRIVATE
	MFD_CLOEXEC       = unix.MFD_CLOEXEC
	MREMAP_FIXED      = unix.MREMAP_FIXED
	MREMAP_MAYMOVE    = unix.MREMAP_MAYMOVE
	O_ACCMODE         = unix.O_ACCMODE
	O_CLOEXEC         = unix.O_CLOEXEC
	O_RDONLY          = unix.O_RDONLY
	O_RDWR            = unix.O_RDWR
	O_WRONLY          = unix.O_WRONLY
	PROT_EXEC         = unix.PROT_EXEC
	PROT_NONE         = unix.PROT_NONE
	PROT_READ         = unix.PROT_READ
	PROT_WRITE        = unix.PROT_WRITE
	RLIMIT_NOFILE     = unix.RLIMIT_NOFILE
	S_IFMT            = unix.S_IFMT
	S_IFREG           = unix.S_IFREG
	SYS_ACCESS        = unix.SYS_ACCESS
	SYS_ARCH_PRCTL    = unix.SYS_ARCH_PRCTL
	SYS_BRK           = unix.SYS_BRK
	SYS_CLONE         = unix.SYS_CLONE
	SYS_CLOSE         = unix.SYS_CLOSE
	SYS_CONNECT       = unix.SYS_CONNECT
	SYS_DUP2          = unix.SYS_DUP2
	SYS_DUP3          = unix.SYS_DUP3
	SYS_EPOLL_CTL     = unix.SYS_EPOLL_CTL
	SYS_EPOLL_WAIT    = unix.SYS_EPOLL_WAIT
	SYS_EXECVE        = unix.SYS_EXECVE
	SYS_FCNTL         = unix.SYS_FCNTL
	SYS_FDATASYNC     = unix.SYS_FDATASYNC
	SYS_FSTAT         = unix.SYS_FSTAT
	SYS_FSYNC         = unix.SYS_FSYNC
	SYS_FTRUNCATE     = unix.SYS_FTRUNCATE
	SYS_FUTEX         = unix.SYS_FUTEX
	SYS_GETCWD        = unix.SYS_GETCWD
	SYS_GETDENTS64    = unix.SYS_GETDENTS64
	SYS_GETEGID       = unix.SYS_GETEGID
	SYS_GETEUID       = unix.SYS_GETEUID
	SYS_GETGID        = unix.SYS_GETGID
	SYS_GETPID        = unix.SYS_GETPID
	SYS_GETPPID       = unix.SYS_GETPPID
	SYS_GETRANDOM     = unix.SYS_GETRANDOM
	SYS_GETTID        = unix.SYS_GETTID
	SYS_GETUID        = unix.SYS_GETUID
	SYS_IOCTL         = unix.SYS_IOCTL
	SYS_LSEEK         = unix.SYS_LSEEK
	SYS_LSTAT         = unix.SYS_LSTAT
	SYS_MADVISE       = unix.SYS_MADVISE
	SYS_MKDIR         = unix.SYS_MKDIR
	SYS_MMAP          = unix.SYS_MMAP
	SYS_MPROTECT      = unix.SYS_MPROTECT
	SYS_MREMAP        = unix.SYS_MREMAP
	SYS_MUNMAP        = unix.SYS_MUNMAP
	SYS_NEWFSTATAT    = unix.SYS_NEWFSTATAT
	SYS_OPENAT        = unix.SYS_OPENAT
	SYS_PKEY_MPROTECT = unix.SYS_PKEY_MPROTECT
	SYS_POLL          = unix.SYS_POLL
	SYS_PREAD64       = unix.SYS_PREAD64
	SYS_PWRITE64      = unix.SYS_PWRITE64
	SYS_READ          = unix.SYS_READ
	SYS_READLINK      = unix.SYS_READLINK
	SYS_RECVFROM      = unix.SYS_RECVFROM
	SYS_RENAME        = unix.SYS_RENAME
	SYS_RMDIR         = unix.SYS_RMDIR
	SYS_RT_SIGACTION  = unix.SYS_RT_SIGACTION
	SYS_SENDTO        = unix.SYS_SENDTO
	SYS_STAT          = unix.SYS_STAT
	SYS_UNLINK        = unix.SYS_UNLINK
	SYS_VFORK         = unix.SYS_VFORK
	SYS_WRITE         = unix.SYS_WRITE
	SYS_EXIT          = unix.SYS_EXIT
	SYS_WAITID        = unix.SYS_WAITID
	SYS_WAIT4         = unix.SYS_WAIT4
	SYS_FCHOWN        = unix.SYS_FCHOWN
	SYS_FCHMOD        = unix.SYS_FCHMOD
	SYS_CHMOD         = unix.SYS_CHMOD
	SYS_UNLINKAT      = unix.SYS_UNLINKAT
	SYS_MKDIRAT       = unix.SYS_MKDIRAT
	SYS_UTIMENSAT     = unix.SYS_UTIMENSAT
	SYS_SETSOCKOPT    = unix.SYS_SETSOCKOPT
	SYS_LISTEN        = unix.SYS_LISTEN
	SYS_UMASK         = unix.SYS_UMASK
	SYS_KILL          = unix.SYS_KILL
	SYS_TGKILL        = unix.SYS_TGKILL
	SYS_EXIT_GROUP    = unix.SYS_EXIT_GROUP
	SIGABRT           = unix.SIGABRT
	SIGALRM           = unix.SIGALRM
	SIGBUS            = unix.SIGBUS
	SIGCHLD           = unix.SIGCHLD
	SIGCONT           = unix.SIGCONT
	SIGFPE            = unix.SIGFPE
	SIGHUP            = unix.SIGHUP
	SIGILL            = unix.SIGILL
	SIGINT            = unix.SIGINT
	SIGIO             = unix.SIGIO
	SIGKILL           = unix.SIGKILL
	SIGPIPE           = unix.SIGPIPE
	SIGPROF           = unix.SIGPROF
	SIGPWR            = unix.SIGPWR
	SIGQUIT           = unix.SIGQUIT
	SIGSEGV           = unix.SIGSEGV
	SIGSTOP           = unix.SIGSTOP
	SIGSYS            = unix.SIGSYS
	SIGTERM           = unix.SIGTERM
	SIGTRAP           = unix.SIGTRAP
	SIGTSTP           = unix.SIGTSTP
	SIGTTIN           = unix.SIGTTIN
	SIGTTOU           = unix.SIGTTOU
	SIGURG            = unix.SIGURG
	SIGUSR1           = unix.SIGUSR1
	SIGUSR2           = unix.SIGUSR2
	SIGVTALRM         = unix.SIGVTALRM
	SIGWINCH          = unix.SIGWINCH
	SIGXCPU           = unix.SIGXCPU
	SIGXFSZ           = unix.SIGXFSZ

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
