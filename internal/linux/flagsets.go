package linux

// The named values of arguments; the manual page beside each.
var (
	// open(2); the descriptor flags of pipe2, dup3 and others have the same values.
	openFlags = &FlagSet{
		Mask:  3,
		Modes: []Flag{{"O_RDONLY", 0}, {"O_WRONLY", 1}, {"O_RDWR", 2}},
		Bits:  []Flag{{"O_TMPFILE", 0x410000}, {"O_SYNC", 0x101000}, {"O_APPEND", 0x400}, {"O_ASYNC", 0x2000}, {"O_CLOEXEC", 0x80000}, {"O_CREAT", 0x40}, {"O_DIRECT", 0x4000}, {"O_DIRECTORY", 0x10000}, {"O_DSYNC", 0x1000}, {"O_EXCL", 0x80}, {"O_LARGEFILE", 0x8000}, {"O_NOATIME", 0x40000}, {"O_NOCTTY", 0x100}, {"O_NOFOLLOW", 0x20000}, {"O_NONBLOCK", 0x800}, {"O_PATH", 0x200000}, {"O_TRUNC", 0x200}},
	}
	// The flags of calls that make descriptors other than open: pipe(2), dup(2),
	// epoll_create(2), eventfd(2) and others.
	fdFlags = &FlagSet{
		Bits: []Flag{{"O_CLOEXEC", 0x80000}, {"O_NONBLOCK", 0x800}, {"O_DIRECT", 0x4000}, {"EFD_SEMAPHORE", 1}},
	}
	// lseek(2).
	whences = &FlagSet{
		Mask:  all,
		Modes: []Flag{{"SEEK_SET", 0}, {"SEEK_CUR", 1}, {"SEEK_END", 2}, {"SEEK_DATA", 3}, {"SEEK_HOLE", 4}},
	}
	// flock(2).
	flockFlags = &FlagSet{
		Bits: []Flag{{"LOCK_SH", 1}, {"LOCK_EX", 2}, {"LOCK_NB", 4}, {"LOCK_UN", 8}},
	}
	// memfd_create(2).
	memfdFlags = &FlagSet{
		Bits: []Flag{{"MFD_CLOEXEC", 1}, {"MFD_ALLOW_SEALING", 2}, {"MFD_HUGETLB", 4}, {"MFD_NOEXEC_SEAL", 8}, {"MFD_EXEC", 0x10}},
	}
	// access(2).
	accessModes = &FlagSet{
		Bits: []Flag{{"R_OK", 4}, {"W_OK", 2}, {"X_OK", 1}},
		None: "F_OK",
	}
	// The AT_ flags of the *at calls and statx.
	atFlags = &FlagSet{
		Bits: []Flag{{"AT_SYMLINK_NOFOLLOW", 0x100}, {"AT_SYMLINK_FOLLOW", 0x400}, {"AT_NO_AUTOMOUNT", 0x800}, {"AT_EMPTY_PATH", 0x1000}, {"AT_STATX_FORCE_SYNC", 0x2000}, {"AT_STATX_DONT_SYNC", 0x4000}, {"AT_EACCESS", 0x200}},
	}
	// unlinkat(2).
	unlinkFlags = &FlagSet{
		Bits: []Flag{{"AT_REMOVEDIR", 0x200}},
	}
	// epoll_ctl(2).
	epollOps = &FlagSet{
		Mask:  all,
		Modes: []Flag{{"EPOLL_CTL_ADD", 1}, {"EPOLL_CTL_DEL", 2}, {"EPOLL_CTL_MOD", 3}},
	}
	// epoll_ctl(2).
	epollEvents = &FlagSet{
		Bits: []Flag{{"EPOLLIN", 1}, {"EPOLLPRI", 2}, {"EPOLLOUT", 4}, {"EPOLLERR", 8}, {"EPOLLHUP", 0x10}, {"EPOLLRDNORM", 0x40}, {"EPOLLRDBAND", 0x80}, {"EPOLLWRNORM", 0x100}, {"EPOLLWRBAND", 0x200}, {"EPOLLMSG", 0x400}, {"EPOLLRDHUP", 0x2000}, {"EPOLLEXCLUSIVE", 0x10000000}, {"EPOLLWAKEUP", 0x20000000}, {"EPOLLONESHOT", 0x40000000}, {"EPOLLET", 1 << 31}},
	}
	// poll(2).
	pollEvents = &FlagSet{
		Bits: []Flag{{"POLLIN", 1}, {"POLLPRI", 2}, {"POLLOUT", 4}, {"POLLERR", 8}, {"POLLHUP", 0x10}, {"POLLNVAL", 0x20}, {"POLLRDNORM", 0x40}, {"POLLRDBAND", 0x80}, {"POLLWRNORM", 0x100}, {"POLLWRBAND", 0x200}, {"POLLRDHUP", 0x2000}},
	}
	// socket(2).
	families = &FlagSet{
		Mask:  all,
		Modes: []Flag{{"AF_UNSPEC", 0}, {"AF_UNIX", 1}, {"AF_INET", 2}, {"AF_INET6", 0xa}, {"AF_NETLINK", 0x10}, {"AF_PACKET", 0x11}, {"AF_BLUETOOTH", 0x1f}, {"AF_CAN", 0x1d}, {"AF_TIPC", 0x1e}, {"AF_ALG", 0x26}, {"AF_VSOCK", 0x28}, {"AF_QIPCRTR", 0x2a}, {"AF_XDP", 0x2c}, {"AF_KCM", 0x29}, {"AF_RDS", 0x15}},
	}
	// socket(2); accept4 has the flags only.
	sockTypes = &FlagSet{
		Mask:  15,
		Modes: []Flag{{"SOCK_STREAM", 1}, {"SOCK_DGRAM", 2}, {"SOCK_RAW", 3}, {"SOCK_RDM", 4}, {"SOCK_SEQPACKET", 5}, {"SOCK_PACKET", 0xa}},
		Bits:  []Flag{{"SOCK_CLOEXEC", 0x80000}, {"SOCK_NONBLOCK", 0x800}},
	}
	// shutdown(2).
	shutHows = &FlagSet{
		Mask:  all,
		Modes: []Flag{{"SHUT_RD", 0}, {"SHUT_WR", 1}, {"SHUT_RDWR", 2}},
	}
	// send(2), recv(2).
	msgFlags = &FlagSet{
		Bits: []Flag{{"MSG_OOB", 1}, {"MSG_PEEK", 2}, {"MSG_DONTROUTE", 4}, {"MSG_CTRUNC", 8}, {"MSG_TRUNC", 0x20}, {"MSG_DONTWAIT", 0x40}, {"MSG_EOR", 0x80}, {"MSG_WAITALL", 0x100}, {"MSG_CONFIRM", 0x800}, {"MSG_ERRQUEUE", 0x2000}, {"MSG_NOSIGNAL", 0x4000}, {"MSG_MORE", 0x8000}, {"MSG_WAITFORONE", 0x10000}, {"MSG_ZEROCOPY", 0x4000000}, {"MSG_FASTOPEN", 0x20000000}, {"MSG_CMSG_CLOEXEC", 0x40000000}},
	}
	// The levels of getsockopt and setsockopt (linux/socket.h). All follow the rule that *optlen bounds what is written.
	sockLevels = &FlagSet{
		Mask:  all,
		Modes: []Flag{{"SOL_IP", 0}, {"SOL_SOCKET", 1}, {"SOL_TCP", 6}, {"SOL_UDP", 17}, {"SOL_IPV6", 41}, {"SOL_ICMPV6", 58}, {"SOL_SCTP", 132}, {"SOL_UDPLITE", 136}, {"SOL_RAW", 255}, {"SOL_X25", 262}, {"SOL_PACKET", 263}, {"SOL_ATM", 264}, {"SOL_LLC", 268}, {"SOL_DCCP", 269}, {"SOL_NETLINK", 270}, {"SOL_TIPC", 271}, {"SOL_RXRPC", 272}, {"SOL_BLUETOOTH", 274}, {"SOL_RDS", 276}, {"SOL_IUCV", 277}, {"SOL_CAIF", 278}, {"SOL_ALG", 279}, {"SOL_NFC", 280}, {"SOL_KCM", 281}, {"SOL_TLS", 282}, {"SOL_XDP", 283}, {"SOL_MPTCP", 284}, {"SOL_MCTP", 285}, {"SOL_SMC", 286}, {"SOL_VSOCK", 287}, {"AF_VSOCK", 40}, {"SOL_RFCOMM", 18}, {"SOL_CAN_BASE", 100}, {"SOL_CAN_RAW", 101}},
	}
	// mmap(2).
	protFlags = &FlagSet{
		Bits: []Flag{{"PROT_READ", 1}, {"PROT_WRITE", 2}, {"PROT_EXEC", 4}, {"PROT_GROWSDOWN", 0x1000000}, {"PROT_GROWSUP", 0x2000000}},
		None: "PROT_NONE",
	}
	// mmap(2).
	mapFlags = &FlagSet{
		Mask:  15,
		Modes: []Flag{{"MAP_SHARED", 1}, {"MAP_PRIVATE", 2}, {"MAP_SHARED_VALIDATE", 3}},
		Bits:  []Flag{{"MAP_FIXED", 0x10}, {"MAP_ANONYMOUS", 0x20}, {"MAP_32BIT", 0x40}, {"MAP_GROWSDOWN", 0x100}, {"MAP_DENYWRITE", 0x800}, {"MAP_EXECUTABLE", 0x1000}, {"MAP_LOCKED", 0x2000}, {"MAP_NORESERVE", 0x4000}, {"MAP_POPULATE", 0x8000}, {"MAP_NONBLOCK", 0x10000}, {"MAP_STACK", 0x20000}, {"MAP_HUGETLB", 0x40000}, {"MAP_SYNC", 0x80000}, {"MAP_FIXED_NOREPLACE", 0x100000}},
	}
	// madvise(2).
	advices = &FlagSet{
		Mask:  all,
		Modes: []Flag{{"MADV_NORMAL", 0}, {"MADV_RANDOM", 1}, {"MADV_SEQUENTIAL", 2}, {"MADV_WILLNEED", 3}, {"MADV_DONTNEED", 4}, {"MADV_FREE", 8}, {"MADV_REMOVE", 9}, {"MADV_DONTFORK", 0xa}, {"MADV_DOFORK", 0xb}, {"MADV_MERGEABLE", 0xc}, {"MADV_UNMERGEABLE", 0xd}, {"MADV_HUGEPAGE", 0xe}, {"MADV_NOHUGEPAGE", 0xf}, {"MADV_DONTDUMP", 0x10}, {"MADV_DODUMP", 0x11}, {"MADV_WIPEONFORK", 0x12}, {"MADV_KEEPONFORK", 0x13}, {"MADV_COLD", 0x14}, {"MADV_PAGEOUT", 0x15}, {"MADV_POPULATE_READ", 0x16}, {"MADV_POPULATE_WRITE", 0x17}, {"MADV_DONTNEED_LOCKED", 24}, {"MADV_COLLAPSE", 25}, {"MADV_GUARD_INSTALL", 102}, {"MADV_GUARD_REMOVE", 103}},
	}
	// msgop(2).
	ipcFlags = &FlagSet{
		Bits: []Flag{{"IPC_NOWAIT", ipcNoWait}, {"MSG_NOERROR", 0x1000}, {"MSG_EXCEPT", 0x2000}, {"MSG_COPY", 0x4000}},
	}
	// semctl(2).
	semCmds = &FlagSet{
		Mask:  all,
		Modes: []Flag{{"IPC_RMID", 0}, {"IPC_SET", 1}, {"IPC_STAT", 2}, {"IPC_INFO", 3}, {"GETPID", 11}, {"GETVAL", 12}, {"GETALL", 13}, {"GETNCNT", 14}, {"GETZCNT", 15}, {"SETVAL", 16}, {"SETALL", 17}, {"SEM_STAT", 18}, {"SEM_INFO", 19}, {"SEM_STAT_ANY", 20}},
	}
	// shmctl(2).
	shmCmds = &FlagSet{
		Mask:  all,
		Modes: []Flag{{"IPC_RMID", 0}, {"IPC_SET", 1}, {"IPC_STAT", 2}, {"IPC_INFO", 3}, {"SHM_LOCK", 11}, {"SHM_UNLOCK", 12}, {"SHM_STAT", 13}, {"SHM_INFO", 14}, {"SHM_STAT_ANY", 15}},
	}
	// msgctl(2).
	msgCmds = &FlagSet{
		Mask:  all,
		Modes: []Flag{{"IPC_RMID", 0}, {"IPC_SET", 1}, {"IPC_STAT", 2}, {"IPC_INFO", 3}, {"MSG_STAT", 11}, {"MSG_INFO", 12}, {"MSG_STAT_ANY", 13}},
	}
	// clone(2); the low byte is the signal at exit.
	cloneFlags = &FlagSet{
		Mask:  0xff,
		Modes: []Flag{{"SIGCHLD", 17}},
		Bits:  []Flag{{"CLONE_VM", 0x100}, {"CLONE_FS", 0x200}, {"CLONE_FILES", 0x400}, {"CLONE_SIGHAND", 0x800}, {"CLONE_PIDFD", 0x1000}, {"CLONE_PTRACE", 0x2000}, {"CLONE_VFORK", 0x4000}, {"CLONE_PARENT", 0x8000}, {"CLONE_THREAD", 0x10000}, {"CLONE_NEWNS", 0x20000}, {"CLONE_SYSVSEM", 0x40000}, {"CLONE_SETTLS", 0x80000}, {"CLONE_PARENT_SETTID", 0x100000}, {"CLONE_CHILD_CLEARTID", 0x200000}, {"CLONE_DETACHED", 0x400000}, {"CLONE_UNTRACED", 0x800000}, {"CLONE_CHILD_SETTID", 0x1000000}, {"CLONE_NEWCGROUP", 0x2000000}, {"CLONE_NEWUTS", 0x4000000}, {"CLONE_NEWIPC", 0x8000000}, {"CLONE_NEWUSER", 0x10000000}, {"CLONE_NEWPID", 0x20000000}, {"CLONE_NEWNET", 0x40000000}, {"CLONE_IO", 0x80000000}},
	}
	// wait(2).
	waitFlags = &FlagSet{
		Bits: []Flag{{"WNOHANG", 1}, {"WUNTRACED", 2}, {"WEXITED", 4}, {"WCONTINUED", 8}, {"WNOWAIT", 0x1000000}, {"__WNOTHREAD", 0x20000000}, {"__WALL", 0x40000000}, {"__WCLONE", 0x80000000}},
	}
	// waitid(2).
	idTypes = &FlagSet{
		Mask:  all,
		Modes: []Flag{{"P_ALL", 0}, {"P_PID", 1}, {"P_PGID", 2}, {"P_PIDFD", 3}},
	}
	// futex(2).
	futexOps = &FlagSet{
		Mask:  127,
		Modes: []Flag{{"FUTEX_WAIT", 0}, {"FUTEX_WAKE", 1}, {"FUTEX_FD", 2}, {"FUTEX_REQUEUE", 3}, {"FUTEX_CMP_REQUEUE", 4}, {"FUTEX_WAKE_OP", 5}, {"FUTEX_LOCK_PI", 6}, {"FUTEX_UNLOCK_PI", 7}, {"FUTEX_TRYLOCK_PI", 8}, {"FUTEX_WAIT_BITSET", 9}, {"FUTEX_WAKE_BITSET", 10}, {"FUTEX_WAIT_REQUEUE_PI", 11}, {"FUTEX_CMP_REQUEUE_PI", 12}, {"FUTEX_LOCK_PI2", 13}},
		Bits:  []Flag{{"FUTEX_PRIVATE_FLAG", 128}, {"FUTEX_CLOCK_REALTIME", 256}},
	}
	// ptrace(2).
	ptraceOps = &FlagSet{
		Mask:  all,
		Modes: []Flag{{"PTRACE_TRACEME", 0}, {"PTRACE_PEEKTEXT", 1}, {"PTRACE_PEEKDATA", 2}, {"PTRACE_PEEKUSR", 3}, {"PTRACE_POKETEXT", 4}, {"PTRACE_POKEDATA", 5}, {"PTRACE_POKEUSR", 6}, {"PTRACE_CONT", 7}, {"PTRACE_KILL", 8}, {"PTRACE_SINGLESTEP", 9}, {"PTRACE_GETREGS", 12}, {"PTRACE_SETREGS", 13}, {"PTRACE_GETFPREGS", 14}, {"PTRACE_SETFPREGS", 15}, {"PTRACE_ATTACH", 16}, {"PTRACE_DETACH", 17}, {"PTRACE_SYSCALL", 24}, {"PTRACE_GET_THREAD_AREA", 25}, {"PTRACE_SET_THREAD_AREA", 26}, {"PTRACE_ARCH_PRCTL", 30}, {"PTRACE_SYSEMU", 31}, {"PTRACE_SYSEMU_SINGLESTEP", 32}, {"PTRACE_SINGLEBLOCK", 33}, {"PTRACE_SETOPTIONS", 0x4200}, {"PTRACE_GETEVENTMSG", 0x4201}, {"PTRACE_GETSIGINFO", 0x4202}, {"PTRACE_SETSIGINFO", 0x4203}, {"PTRACE_GETREGSET", 0x4204}, {"PTRACE_SETREGSET", 0x4205}, {"PTRACE_SEIZE", 0x4206}, {"PTRACE_INTERRUPT", 0x4207}, {"PTRACE_LISTEN", 0x4208}, {"PTRACE_PEEKSIGINFO", 0x4209}, {"PTRACE_GETSIGMASK", 0x420a}, {"PTRACE_SETSIGMASK", 0x420b}, {"PTRACE_SECCOMP_GET_FILTER", 0x420c}, {"PTRACE_SECCOMP_GET_METADATA", 0x420d}, {"PTRACE_GET_SYSCALL_INFO", 0x420e}, {"PTRACE_GET_RSEQ_CONFIGURATION", 0x420f}, {"PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG", 0x4210}, {"PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG", 0x4211}, {"PTRACE_SET_SYSCALL_INFO", 0x4212}},
	}
	// sigprocmask(2).
	sigHows = &FlagSet{
		Mask:  all,
		Modes: []Flag{{"SIG_BLOCK", 0}, {"SIG_UNBLOCK", 1}, {"SIG_SETMASK", 2}},
	}
	// clock_gettime(2).
	clocks = &FlagSet{
		Mask:  all,
		Modes: []Flag{{"CLOCK_REALTIME", 0}, {"CLOCK_MONOTONIC", 1}, {"CLOCK_PROCESS_CPUTIME_ID", 2}, {"CLOCK_THREAD_CPUTIME_ID", 3}, {"CLOCK_MONOTONIC_RAW", 4}, {"CLOCK_REALTIME_COARSE", 5}, {"CLOCK_MONOTONIC_COARSE", 6}, {"CLOCK_BOOTTIME", 7}, {"CLOCK_REALTIME_ALARM", 8}, {"CLOCK_BOOTTIME_ALARM", 9}, {"CLOCK_TAI", 0xb}},
	}
	// clock_nanosleep(2), timerfd_settime(2).
	timerFlags = &FlagSet{
		Bits: []Flag{{"TIMER_ABSTIME", 1}, {"TFD_TIMER_CANCEL_ON_SET", 2}},
	}
	// setitimer(2).
	itimers = &FlagSet{
		Mask:  all,
		Modes: []Flag{{"ITIMER_REAL", 0}, {"ITIMER_VIRTUAL", 1}, {"ITIMER_PROF", 2}},
	}
	// getrandom(2).
	randomFlags = &FlagSet{
		Bits: []Flag{{"GRND_NONBLOCK", 1}, {"GRND_RANDOM", 2}, {"GRND_INSECURE", 4}},
	}
	// getrlimit(2).
	rlimits = &FlagSet{
		Mask:  all,
		Modes: []Flag{{"RLIMIT_CPU", 0}, {"RLIMIT_FSIZE", 1}, {"RLIMIT_DATA", 2}, {"RLIMIT_STACK", 3}, {"RLIMIT_CORE", 4}, {"RLIMIT_RSS", 5}, {"RLIMIT_NPROC", 6}, {"RLIMIT_NOFILE", 7}, {"RLIMIT_MEMLOCK", 8}, {"RLIMIT_AS", 9}, {"RLIMIT_LOCKS", 10}, {"RLIMIT_SIGPENDING", 11}, {"RLIMIT_MSGQUEUE", 12}, {"RLIMIT_NICE", 13}, {"RLIMIT_RTPRIO", 14}, {"RLIMIT_RTTIME", 15}},
	}
	// fcntl(2).
	fcntlCmds = &FlagSet{
		Mask:  all,
		Modes: []Flag{{"F_DUPFD", 0}, {"F_GETFD", 1}, {"F_SETFD", 2}, {"F_GETFL", 3}, {"F_SETFL", 4}, {"F_GETLK", 5}, {"F_SETLK", 6}, {"F_SETLKW", 7}, {"F_SETOWN", 8}, {"F_GETOWN", 9}, {"F_SETSIG", 0xa}, {"F_GETSIG", 0xb}, {"F_SETOWN_EX", 0xf}, {"F_GETOWN_EX", 0x10}, {"F_GETOWNER_UIDS", fGetOwnerUIDs}, {"F_OFD_GETLK", fOFDGetLk}, {"F_OFD_SETLK", fOFDSetLk}, {"F_OFD_SETLKW", fOFDSetLkW}, {"F_SETLEASE", 0x400}, {"F_GETLEASE", 0x401}, {"F_NOTIFY", 0x402}, {"F_DUPFD_CLOEXEC", 0x406}, {"F_SETPIPE_SZ", 0x407}, {"F_GETPIPE_SZ", 0x408}, {"F_ADD_SEALS", 0x409}, {"F_GET_SEALS", 0x40a}, {"F_GET_RW_HINT", 0x40b}, {"F_SET_RW_HINT", 0x40c}, {"F_GET_FILE_RW_HINT", 0x40d}, {"F_SET_FILE_RW_HINT", 0x40e}},
	}
	// prctl(2).
	prctlOps = &FlagSet{
		Mask:  all,
		Modes: []Flag{{"PR_SET_PDEATHSIG", 1}, {"PR_GET_PDEATHSIG", 2}, {"PR_GET_DUMPABLE", 3}, {"PR_SET_DUMPABLE", 4}, {"PR_GET_UNALIGN", 5}, {"PR_SET_UNALIGN", 6}, {"PR_GET_KEEPCAPS", 7}, {"PR_SET_KEEPCAPS", 8}, {"PR_GET_FPEMU", 9}, {"PR_SET_FPEMU", 0xa}, {"PR_GET_FPEXC", 0xb}, {"PR_SET_FPEXC", 0xc}, {"PR_GET_TIMING", 0xd}, {"PR_SET_TIMING", 0xe}, {"PR_SET_NAME", 0xf}, {"PR_GET_NAME", 0x10}, {"PR_GET_ENDIAN", 0x13}, {"PR_SET_ENDIAN", 0x14}, {"PR_GET_SECCOMP", 0x15}, {"PR_SET_SECCOMP", 0x16}, {"PR_CAPBSET_READ", 0x17}, {"PR_CAPBSET_DROP", 0x18}, {"PR_GET_TSC", 0x19}, {"PR_SET_TSC", 0x1a}, {"PR_GET_SECUREBITS", 0x1b}, {"PR_SET_SECUREBITS", 0x1c}, {"PR_SET_TIMERSLACK", 0x1d}, {"PR_GET_TIMERSLACK", 0x1e}, {"PR_TASK_PERF_EVENTS_DISABLE", 0x1f}, {"PR_TASK_PERF_EVENTS_ENABLE", 0x20}, {"PR_MCE_KILL", 0x21}, {"PR_MCE_KILL_GET", 0x22}, {"PR_SET_MM", 0x23}, {"PR_SET_CHILD_SUBREAPER", 0x24}, {"PR_GET_CHILD_SUBREAPER", 0x25}, {"PR_SET_NO_NEW_PRIVS", 0x26}, {"PR_GET_NO_NEW_PRIVS", 0x27}, {"PR_GET_TID_ADDRESS", 0x28}, {"PR_SET_THP_DISABLE", 0x29}, {"PR_GET_THP_DISABLE", 0x2a}, {"PR_CAP_AMBIENT", 0x2f}, {"PR_GET_SPECULATION_CTRL", 0x34}, {"PR_SET_SPECULATION_CTRL", 0x35}, {"PR_SET_IO_FLUSHER", 0x39}, {"PR_GET_IO_FLUSHER", 0x3a}, {"PR_SET_SYSCALL_USER_DISPATCH", prSetUserDispatch}, {"PR_SCHED_CORE", prSchedCore}, {"PR_SET_MDWE", prSetMDWE}, {"PR_GET_MDWE", prGetMDWE}, {"PR_SET_MEMORY_MERGE", prSetMemoryMerge}, {"PR_GET_MEMORY_MERGE", prGetMemoryMerge}, {"PR_GET_AUXV", prGetAuxv}, {"PR_SET_VMA", prSetVMA}, {"PR_SET_PTRACER", prSetPtracer}},
	}
	// arch_prctl(2).
	archPrctlOps = &FlagSet{
		Mask:  all,
		Modes: []Flag{{"ARCH_SET_GS", archSetGS}, {"ARCH_SET_FS", archSetFS}, {"ARCH_GET_FS", archGetFS}, {"ARCH_GET_GS", archGetGS}, {"ARCH_GET_CPUID", archGetCPUID}, {"ARCH_SET_CPUID", archSetCPUID}, {"ARCH_GET_XCOMP_SUPP", archGetXcompSupp}, {"ARCH_GET_XCOMP_PERM", archGetXcompPerm}, {"ARCH_REQ_XCOMP_PERM", archReqXcompPerm}, {"ARCH_SHSTK_ENABLE", archShstkEnable}, {"ARCH_SHSTK_STATUS", archShstkStatus}},
	}
	// keyctl(2).
	keyctlOps = &FlagSet{
		Mask:  all,
		Modes: []Flag{{"KEYCTL_GET_KEYRING_ID", 0}, {"KEYCTL_JOIN_SESSION_KEYRING", 1}, {"KEYCTL_UPDATE", 2}, {"KEYCTL_REVOKE", 3}, {"KEYCTL_CHOWN", 4}, {"KEYCTL_SETPERM", 5}, {"KEYCTL_DESCRIBE", 6}, {"KEYCTL_CLEAR", 7}, {"KEYCTL_LINK", 8}, {"KEYCTL_UNLINK", 9}, {"KEYCTL_SEARCH", 10}, {"KEYCTL_READ", 11}, {"KEYCTL_INSTANTIATE", 12}, {"KEYCTL_NEGATE", 13}, {"KEYCTL_SET_REQKEY_KEYRING", 14}, {"KEYCTL_SET_TIMEOUT", 15}, {"KEYCTL_ASSUME_AUTHORITY", 16}, {"KEYCTL_GET_SECURITY", 17}, {"KEYCTL_SESSION_TO_PARENT", 18}, {"KEYCTL_REJECT", 19}, {"KEYCTL_INSTANTIATE_IOV", 20}, {"KEYCTL_INVALIDATE", 21}, {"KEYCTL_GET_PERSISTENT", 22}, {"KEYCTL_DH_COMPUTE", 23}, {"KEYCTL_PKEY_QUERY", 24}, {"KEYCTL_PKEY_ENCRYPT", 25}, {"KEYCTL_PKEY_DECRYPT", 26}, {"KEYCTL_PKEY_SIGN", 27}, {"KEYCTL_PKEY_VERIFY", 28}, {"KEYCTL_RESTRICT_KEYRING", 29}, {"KEYCTL_MOVE", 30}, {"KEYCTL_CAPABILITIES", 31}, {"KEYCTL_WATCH_KEY", 32}},
	}
)
