package linux

// MayBlock reports whether this call may wait for another thread, another
// process or the outside, so that others have to be let run meanwhile. Saying
// so needlessly costs time; missing a case would be a deadlock.
func MayBlock(nr int, args [6]uint64) bool {
	s, ok := Lookup(nr)
	if !ok {
		return true
	}
	if nr == sysClone {
		return args[0]&cloneVfork != 0
	}
	if !s.Blocks {
		return false
	}
	has := func(arg int, flag uint64) bool { return args[arg]&flag != 0 }
	switch nr {
	case sysFutex:
		switch uint32(args[1]) & futexCmdMask {
		case futexWake, futexWakeBitset, futexRequeue, futexCmpRequeue, futexWakeOp, futexUnlockPI, futexTryLockPI, futexCmpRequeuePI:
			return false
		}
	case sysFcntl:
		switch uint32(args[1]) {
		case fSetlkw, fOFDSetLkW:
			return true
		}
		return false
	case sysIoctl:
		return ioctlBlocks(uint32(args[1]))
	case sysPoll:
		return int32(args[2]) != 0
	case sysEpollWait, sysEpollPwait:
		return int32(args[3]) != 0
	case sysRecvfrom, sysSendto, sysRecvmmsg, sysSendmmsg:
		return !has(3, msgDontwait)
	case sysRecvmsg, sysSendmsg:
		return !has(2, msgDontwait)
	case sysWait4:
		return !has(2, wnohang)
	case sysWaitid:
		return !has(3, wnohang)
	case sysFlock:
		return !has(1, lockNb)
	case sysMsgsnd:
		return !has(3, ipcNoWait)
	case sysMsgrcv:
		return !has(4, ipcNoWait)
	case sysTee:
		return !has(3, spliceFNonblock)
	case sysVmsplice:
		return !has(3, spliceFNonblock)
	case sysGetrandom:
		return !has(2, grndNonblock|grndInsecure)
	case sysSyslog:
		return uint32(args[0]) == 2
	}
	return true
}

// FutexWord is the address of the 32-bit word that a futex call changes while it is
// still being made: an operation on a lock with priority inheritance marks the word
// when it begins to wait, or when it gives the lock away (futex(2)). 0 means none.
func FutexWord(nr int, args [6]uint64) uint64 {
	if nr != sysFutex {
		return 0
	}
	switch uint32(args[1]) & futexCmdMask {
	case futexLockPI, futexLockPI2, futexTryLockPI, futexUnlockPI:
		return args[0]
	case futexCmpRequeuePI:
		return args[4]
	}
	return 0
}

// ClassOf is the class of one call: that of its row, or a narrower one that
// its operation asks for. errno is what a Hidden or Faked call returns.
func ClassOf(nr int, args [6]uint64) (class Class, errno int) {
	s, ok := Lookup(nr)
	if !ok {
		return Plain, 0 // Outputs judges by the result
	}
	switch nr {
	case sysMadvise:
		switch uint32(args[2]) {
		case madvDontneed, madvRemove,
			madvDontfork, madvDofork, madvWipeonfork, madvKeeponfork:
			return AddressSpace, 0
		case madvFree, madvDontneedLocked, madvGuardInstall, madvGuardRemove:
			// Pages freed at the kernel's leisure, and advice that programs
			// have to do without on older kernels.
			return Hidden, eInval
		}
		return Plain, 0
	case sysPrctl:
		switch uint32(args[0]) {
		case prSetDumpable, prSetPtracer:
			// Both could lock the recorder out.
			return Faked, 0
		case prSetUserDispatch, prSetMDWE, prRseqSlice:
			return Hidden, eInval
		case prSetTsc:
			const sigsegv = 2 // PR_TSC_SIGSEGV: also the engine's own reading of the clock
			if args[1] == sigsegv {
				return Hidden, eInval
			}
		}
	case sysArchPrctl:
		switch uint32(args[0]) {
		case archSetFS, archSetGS:
			return AddressSpace, 0
		case archSetCPUID:
			return Hidden, eNodev
		case archEnableTagged, archForceTagged:
			return Hidden, eInval
		}
		if code := uint32(args[0]); code >= archShstkEnable && code <= archShstkUnlock {
			return Hidden, eInval
		}
		return Plain, 0
	case sysSetsockopt:
		if ringOption(args[1], args[2]) {
			return Hidden, eNoprotoopt
		}
	case sysGetsockopt:
		if uint32(args[1]) == solTcp && uint32(args[2]) == tcpZerocopyReceive {
			return Hidden, eNoprotoopt
		}
	}
	return s.Class, s.Errno
}

const (
	ipcNoWait          = 0x800
	madvDontneedLocked = 24
	madvGuardInstall   = 102
	madvGuardRemove    = 103
)
