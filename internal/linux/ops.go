package linux

// Commands of fcntl that x/sys does not name (linux/fcntl.h).
const (
	fGetOwnerUIDs = 17
	fDupFDQuery   = 1027
	fCreatedQuery = 1028
	fCancelLk     = 1029
	fGetDeleg     = 1039
	fSetDeleg     = 1040
	fOFDGetLk     = 36
	fOFDSetLk     = 37
	fOFDSetLkW    = 38
)

func (c *call) fcntl() {
	n := uint64(0)
	switch uint32(c.args[1]) {
	case fGetlk, fOFDGetLk:
		n = 32 // struct flock
	case fGetownEx, fGetOwnerUIDs, fGetRwHint, fGetFileRwHint, fGetDeleg:
		n = 8
	case fDupfd, fDupfdCloexec, fGetfd, fSetfd, fGetfl, fSetfl,
		fSetlk, fSetlkw, fSetown, fGetown, fSetsig, fGetsig, fSetownEx,
		fOFDSetLk, fOFDSetLkW, fSetlease, fGetlease, fNotify, fDupFDQuery, fCreatedQuery, fCancelLk,
		fSetpipeSz, fGetpipeSz, fAddSeals, fGetSeals, fSetRwHint, fSetFileRwHint, fSetDeleg:
	default:
		c.unknown("fcntl command %d", int32(c.args[1]))
		return
	}
	if n != 0 && c.written(OnSuccess) {
		c.add(c.args[2], n)
	}
}

// Options of prctl that x/sys may not name (linux/prctl.h).
const (
	prGetShadowStack       = 74
	prSetShadowStack       = 75
	prLockShadowStack      = 76
	prTimerCreateRestoreID = 77
	prFutexHash            = 78
	prRseqSlice            = 79
	prSetMDWE              = 65
	prGetMDWE              = 66
	prSetMemoryMerge       = 67
	prGetMemoryMerge       = 68
	prGetAuxv              = 0x41555856
	prSetVMA               = 0x53564d41
	prSetPtracer           = 0x59616d61
	prSetUserDispatch      = 59
	prSchedCore            = 62
	prSchedCoreGet         = 0
)

func (c *call) prctl() {
	n := uint64(0)
	arg := c.args[1]
	switch op := uint32(c.args[0]); op {
	case prGetPdeathsig, prGetUnalign, prGetFpemu, prGetFpexc, prGetEndian, prGetTsc, prGetChildSubreaper:
		n = 4
	case prGetTidAddress, prGetShadowStack:
		n = 8
	case prGetName:
		n = 16
	case prSetMM:
		if c.args[1] == prSetMMMapSize {
			n, arg = 4, c.args[2]
		}
	case prGetAuxv:
		n = c.args[2]
		if !c.fault {
			n = min(n, uint64(max(c.ret, 0)))
		}
	case prSchedCore:
		if c.args[1] == prSchedCoreGet {
			n, arg = 8, c.args[4]
		}
	case prSetVMA, prSetPtracer, prSetMDWE, prGetMDWE, prSetMemoryMerge, prGetMemoryMerge,
		prSetShadowStack, prLockShadowStack, prTimerCreateRestoreID, prFutexHash:
	default:
		// 1 to 61 are all known (a gap: 17, 18); those that write are above.
		if op == 0 || op > 64 || op == 17 || op == 18 || op == 63 || op == prSetUserDispatch {
			c.unknown("prctl option %#x", op)
			return
		}
	}
	if n != 0 && c.written(OnSuccess) {
		c.add(arg, n)
	}
}

// Codes of arch_prctl (asm/prctl.h of x86).
const (
	archSetGS         = 0x1001
	archSetFS         = 0x1002
	archGetFS         = 0x1003
	archGetGS         = 0x1004
	archGetCPUID      = 0x1011
	archSetCPUID      = 0x1012
	archGetXcompSupp  = 0x1021
	archGetXcompPerm  = 0x1022
	archReqXcompPerm  = 0x1023
	archGetXcompGuest = 0x1024
	archReqXcompGuest = 0x1025
	archGetUntagMask  = 0x4001
	archEnableTagged  = 0x4002
	archGetMaxTagBits = 0x4003
	archForceTagged   = 0x4004
	archShstkEnable   = 0x5001
	archShstkUnlock   = 0x5004
	archShstkStatus   = 0x5005
)

func (c *call) archPrctl() {
	switch code := uint32(c.args[0]); code {
	case archGetFS, archGetGS, archGetXcompSupp, archGetXcompPerm, archGetXcompGuest, archGetUntagMask, archGetMaxTagBits, archShstkStatus:
		if c.written(OnSuccess) {
			c.add(c.args[1], 8)
		}
	case archSetGS, archSetFS, archGetCPUID, archSetCPUID, archReqXcompPerm, archReqXcompGuest:
	default:
		c.unknown("arch_prctl code %#x", code)
	}
}

// Operations of futex (linux/futex.h); 128 and 256 are flags.
const (
	futexWait          = 0
	futexWake          = 1
	futexRequeue       = 3
	futexCmpRequeue    = 4
	futexWakeOp        = 5
	futexLockPI        = 6
	futexUnlockPI      = 7
	futexTryLockPI     = 8
	futexWaitBitset    = 9
	futexWakeBitset    = 10
	futexWaitRequeuePI = 11
	futexCmpRequeuePI  = 12
	futexLockPI2       = 13
	futexCmdMask       = ^uint32(128 | 256)
)

func (c *call) futex() {
	switch op := uint32(c.args[1]) & futexCmdMask; op {
	case futexWait, futexWaitBitset, futexWake, futexWakeBitset:
	case futexRequeue, futexCmpRequeue, futexWakeOp:
		if c.written(OnSuccess) {
			c.add(c.args[4], 4)
		}
	case futexLockPI, futexUnlockPI, futexTryLockPI, futexLockPI2:
		if c.ret != -eNosys {
			c.addReadable(c.args[0], 4)
		}
	case futexWaitRequeuePI, futexCmpRequeuePI:
		if c.ret != -eNosys {
			c.addReadable(c.args[0], 4)
			c.addReadable(c.args[4], 4)
		}
	default:
		c.unknown("futex operation %d", op)
	}
}

// ringOption reports whether a socket option makes memory that the kernel
// writes at any time: the rings of packet, netlink and XDP sockets
// (linux/if_packet.h, netlink.h, if_xdp.h).
func ringOption(level, opt uint64) bool {
	l, o := uint32(level), uint32(opt)
	switch l {
	case solPacket:
		return o == packetRxRing || o == packetTxRing
	case solNetlink:
		return o == netlinkRxRing || o == netlinkTxRing
	case solXdp:
		return true
	}
	return false
}

func (c *call) getsockopt() {
	const (
		tcpZerocopyReceive = 35
		soGetFilter        = 26
	)
	level, opt := uint32(c.args[1]), uint32(c.args[2])
	val, lenAddr := c.args[3], c.args[4]
	if level == solTcp && opt == tcpZerocopyReceive {
		c.unknown("TCP_ZEROCOPY_RECEIVE")
		return
	}
	if _, ok := sockLevels.name(uint64(level)); !ok {
		c.unknown("getsockopt level %d", int32(level))
		return
	}
	if lenAddr == 0 {
		return
	}
	n, ok := c.word(lenAddr, 4)
	if !ok {
		return
	}
	if c.written(OnSuccess) {
		bytes := uint64(uint32(n))
		if level == solSocket && opt == soGetFilter {
			bytes *= 8 // counted in struct sock_filter
		}
		if c.fault {
			bytes = max(bytes, 128)
		}
		c.addReadable(val, min(bytes, maxFault))
	}
	// Also with ERANGE: the length that would be needed.
	c.addExact(lenAddr, 4)
}
