package linux

// SharesProcess reports whether what a call makes is a thread of the same
// process; else it is a process with an id of its own.
func SharesProcess(nr int, args [6]uint64) bool {
	return nr == sysClone && args[0]&cloneThread != 0
}

// SharesFiles reports whether what a call makes has its maker's descriptors,
// and not a copy of them.
func SharesFiles(nr int, args [6]uint64) bool {
	return nr == sysClone && args[0]&cloneFiles != 0
}

// SharesMemory reports whether what a call makes has its maker's memory, and
// not a copy of it.
func SharesMemory(nr int, args [6]uint64) bool {
	return nr == sysVfork || nr == sysClone && args[0]&cloneVm != 0
}

// ThreadName is the name that a call gives the calling thread in the kernel:
// PR_SET_NAME of prctl(2).
func ThreadName(nr int, args [6]uint64, in []byte) (string, bool) {
	if nr != sysPrctl || uint32(args[0]) != prSetName {
		return "", false
	}
	s, _, found := cutString(in)
	if found {
		s = s[:len(s)-1]
	}
	return string(s), len(in) > 0
}

// Reaped says which child's end a call fetched, and its wait status, as
// wait(2) has it. ok is false for other calls and results.
func Reaped(c *Done) (pid int, status uint32, ok bool) {
	switch c.Nr {
	case sysWait4:
		b := c.bytes(c.Args[1], 4)
		if c.Ret <= 0 {
			return 0, 0, false
		}
		if b != nil {
			status = word32(b)
		}
		// One that stopped or goes on has not ended.
		return int(c.Ret), status, status&0xff != 0x7f && status != 0xffff
	case sysWaitid:
		// siginfo_t of SIGCHLD: si_code at 8, si_pid at 16, si_status at 24.
		b := c.bytes(c.Args[2], 28)
		if c.Ret != 0 || b == nil || word32(b[16:]) == 0 || c.Args[3]&wnowait != 0 {
			return 0, 0, false
		}
		pid, status = int(int32(word32(b[16:]))), word32(b[24:])
		switch word32(b[8:]) {
		case cldExited:
			return pid, status << 8, true
		case cldKilled:
			return pid, status, true
		case cldDumped:
			return pid, status | 0x80, true
		}
	}
	return 0, 0, false
}

// Sends says which signal a call sends, to a process or, where thread is not
// 0, to a thread. pidfd is set where pid is a descriptor that stands for the process.
func Sends(nr int, args [6]uint64) (pid, thread, signal int, pidfd, ok bool) {
	at := func(i int) int { return int(int32(args[i])) }
	switch nr {
	case sysKill, sysRtSigqueueinfo:
		return at(0), 0, at(1), false, true
	case sysTkill:
		return 0, at(0), at(1), false, true
	case sysTgkill, sysRtTgsigqueueinfo:
		return at(0), at(1), at(2), false, true
	case sysPidfdSendSignal:
		return at(0), 0, at(1), true, true
	}
	return 0, 0, 0, false, false
}

// Sender says which process sent a signal, from the beginning of its siginfo_t
// as six words; 0 where it was none, or it is not known (sigaction(2)).
func Sender(info [6]uint64) int {
	switch code := int32(uint32(info[1])); code {
	case siUser, siQueue, siTkill, siMesgq:
		return int(int32(uint32(info[2])))
	}
	return 0
}

// Want is a descriptor that a call waits for, and what for: the events of
// poll(2).
type Want struct {
	FD     int
	Events uint32
	// Epoll is set where the call waits for what the epoll descriptor watches.
	Epoll bool
}

// Events of poll(2) and epoll(7).
const (
	PollIn  = 1
	PollPri = 2
	PollOut = 4
)

// Wants appends to dst the descriptors that a call waits for, as far as its
// arguments and its input show; a call that can't wait has none.
func Wants(nr int, args [6]uint64, in []byte, dst []Want) []Want {
	s, ok := Lookup(nr)
	if !ok || !MayBlock(nr, args) {
		return dst
	}
	for i := range s.FDs {
		u := &s.FDs[i]
		w := Want{}
		switch u.Do {
		case DoRead:
			w.Events = PollIn
		case DoWrite, DoConnect:
			w.Events = PollOut
		case DoAccept:
			dst = append(dst, Want{FD: int(int32(args[u.From])), Events: PollIn})
			continue
		default:
			continue
		}
		w.FD = int(int32(args[u.On]))
		dst = append(dst, w)
	}
	switch nr {
	case sysPoll, sysPpoll:
		for n := uint64(uint32(args[1])); n > 0 && len(in) >= 8; n, in = n-1, in[8:] {
			if fd := int(int32(word32(in))); fd >= 0 {
				dst = append(dst, Want{FD: fd, Events: uint32(in[4]) | uint32(in[5])<<8})
			}
		}
	case sysSelect, sysPselect6:
		// The first set that there is was kept.
		for i, events := range []uint32{PollIn, PollOut, PollPri} {
			if args[1+i] == 0 {
				continue
			}
			for k, b := range in {
				for bit := range 8 {
					if fd := k*8 + bit; b>>bit&1 != 0 && fd < int(int32(args[0])) {
						dst = append(dst, Want{FD: fd, Events: events})
					}
				}
			}
			break
		}
	case sysEpollWait, sysEpollPwait, sysEpollPwait2:
		dst = append(dst, Want{FD: int(int32(args[0])), Events: PollIn, Epoll: true})
	case sysWaitid:
		const pPidfd = 3
		if args[0] == pPidfd {
			dst = append(dst, Want{FD: int(int32(args[1])), Events: PollIn})
		}
	}
	return dst
}
