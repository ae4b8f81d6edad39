package linux

// Limits on input memory kept for display.
const (
	maxIn   = 256
	maxData = 128 // of what a write or send gives
)

// InArgs says which memory at entry is worth keeping to show the call to
// people: a path, a socket address, the descriptors that a poll waits for, how
// long a sleep is. n is at most 256 bytes; str means that it ends earlier at a
// NUL. n 0 means nothing.
func InArgs(nr int, args [6]uint64) (addr uint64, n int, str bool) {
	return inArg(nr, args, 0)
}

// InArgs2 is the second input of calls with two paths (rename, link). Its bytes
// go after the first one's, which keep their NUL.
func InArgs2(nr int, args [6]uint64) (addr uint64, n int, str bool) {
	return inArg(nr, args, 1)
}

// inIndex is the argument that the k-th input is in, or -1.
func inIndex(s *Syscall, args [6]uint64, k int) int {
	shown := -1
	for i := range s.Args {
		switch s.Args[i].Kind {
		case Path, String:
			if args[i] == 0 {
				continue
			}
			if k == 0 {
				return i
			}
			k--
		case InSockAddr, InBytes, PollFDs, InEpoll, FDSet, Timespec, Timeval, Sigset, TimerIn:
			// Strings come first; of others there is one, and an address
			// tells more than the data sent to it.
			if args[i] != 0 && (shown < 0 || s.Args[i].Kind == InSockAddr) {
				shown = i
			}
		}
	}
	if k > 0 || !readsArg(s, args, shown) {
		return -1
	}
	return shown
}

// readsArg reports whether the kernel reads argument i in this call: some are
// out only, or mean something else for some operations.
func readsArg(s *Syscall, args [6]uint64, i int) bool {
	if i < 0 {
		return false
	}
	switch s.Nr {
	case sysFutex:
		switch uint32(args[1]) & futexCmdMask {
		case futexWait, futexWaitBitset, futexLockPI, futexLockPI2, futexWaitRequeuePI:
			return true
		}
		return false
	case sysClockGettime, sysClockGetres:
		return false
	}
	return true
}

func inArg(nr int, args [6]uint64, k int) (addr uint64, n int, str bool) {
	s, ok := Lookup(nr)
	if !ok {
		return 0, 0, false
	}
	i := inIndex(s, args, k)
	if i < 0 {
		return opIn(nr, args, k)
	}
	length := uint64(0)
	switch s.Args[i].Kind {
	case Path, String:
		if k == 0 && hasSecond(s, args) {
			return args[i], maxIn / 2, true
		}
		if k > 0 {
			return args[i], maxIn / 2, true
		}
		return args[i], maxIn, true
	case InSockAddr:
		length = min(uint64(uint32(args[i+1])), 128)
	case InBytes:
		length = min(args[i+1], maxData)
	case PollFDs:
		length = min(8*uint64(uint32(args[i+1])), maxIn)
	case InEpoll:
		length = 12
	case FDSet:
		if n := int32(args[0]); n > 0 {
			length = min((uint64(n)+63)/64*8, 128)
		}
	case Timespec, Timeval:
		length = 16
	case TimerIn:
		length = 32
	case Sigset:
		length = 8
	}
	return args[i], int(length), false
}

func hasSecond(s *Syscall, args [6]uint64) bool { return inIndex(s, args, 1) >= 0 }

// opIn is what the argument of some operations of a call points to: the thread's
// new name of PR_SET_NAME, the struct flock of a record lock.
func opIn(nr int, args [6]uint64, k int) (addr uint64, n int, str bool) {
	if k > 0 {
		return 0, 0, false
	}
	switch nr {
	case sysPrctl:
		if uint32(args[0]) == prSetName && args[1] != 0 {
			return args[1], 16, true
		}
	case sysFcntl:
		switch uint32(args[1]) {
		case fSetlk, fSetlkw, fOFDSetLk, fOFDSetLkW:
			return args[2], flockSize, false
		}
	}
	return 0, 0, false
}
