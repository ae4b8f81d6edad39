package linux

// Requests of ptrace (linux/ptrace.h, asm/ptrace-abi.h of x86) that write memory of
// the caller's, or nothing at all.
const (
	ptraceTraceMe               = 0
	ptracePeekText              = 1
	ptracePeekData              = 2
	ptracePeekUsr               = 3
	ptracePokeText              = 4
	ptracePokeData              = 5
	ptracePokeUsr               = 6
	ptraceCont                  = 7
	ptraceKill                  = 8
	ptraceSingleStep            = 9
	ptraceGetRegs               = 12
	ptraceSetRegs               = 13
	ptraceGetFPRegs             = 14
	ptraceSetFPRegs             = 15
	ptraceAttach                = 16
	ptraceDetach                = 17
	ptraceSyscall               = 24
	ptraceGetThreadArea         = 25
	ptraceSetThreadArea         = 26
	ptraceArchPrctl             = 30
	ptraceSysemu                = 31
	ptraceSysemuStep            = 32
	ptraceSingleBlock           = 33
	ptraceSetOptions            = 0x4200
	ptraceGetEventMsg           = 0x4201
	ptraceGetSigInfo            = 0x4202
	ptraceSetSigInfo            = 0x4203
	ptraceGetRegSet             = 0x4204
	ptraceSetRegSet             = 0x4205
	ptraceSeize                 = 0x4206
	ptraceInterrupt             = 0x4207
	ptraceListen                = 0x4208
	ptracePeekSigInfo           = 0x4209
	ptraceGetSigMask            = 0x420a
	ptraceSetSigMask            = 0x420b
	ptraceSeccompGetFilter      = 0x420c
	ptraceSeccompGetMetadata    = 0x420d
	ptraceGetSyscallInfo        = 0x420e
	ptraceGetRseqConfig         = 0x420f
	ptraceSetUserDispatchConfig = 0x4210
	ptraceGetUserDispatchConfig = 0x4211
	ptraceSetSyscallInfo        = 0x4212
)

// Sizes of what ptrace gives (asm/user_64.h, asm-generic/siginfo.h, linux/filter.h).
const (
	userRegsSize   = 27 * 8
	userFPRegsSize = 512
	sigInfoSize    = 128
	sockFilterSize = 8
	userDescSize   = 16
)

// PtraceTarget says which process a ptrace call is about to become the tracer of: 0
// means the one that made the caller (PTRACE_TRACEME). ok is false for all other
// requests.
func PtraceTarget(args [6]uint64) (pid int, ok bool) {
	switch args[0] {
	case ptraceTraceMe:
		return 0, true
	case ptraceAttach, ptraceSeize:
		return int(int32(args[1])), true
	}
	return 0, false
}

func (c *call) ptrace() {
	addr, data, n := c.args[2], c.args[3], uint64(0)
	result := uint64(max(c.ret, 0))
	switch c.args[0] {
	case ptracePeekText, ptracePeekData, ptracePeekUsr, ptraceGetEventMsg, ptraceGetSigMask:
		n = 8
	case ptraceGetRegs:
		n = userRegsSize
	case ptraceGetFPRegs:
		n = userFPRegsSize
	case ptraceGetThreadArea:
		n = userDescSize
	case ptraceArchPrctl:
		// The code stands where others have their buffer, and the other way round.
		switch uint32(data) {
		case archGetFS, archGetGS, archGetXcompSupp, archGetXcompPerm, archGetXcompGuest, archGetUntagMask, archGetMaxTagBits, archShstkStatus:
			n, data = 8, addr
		}
	case ptraceGetSigInfo:
		n = sigInfoSize
	case ptraceGetRegSet:
		c.regSet(data)
	case ptracePeekSigInfo:
		n = result * sigInfoSize
	case ptraceSeccompGetFilter:
		n = result * sockFilterSize
	case ptraceSeccompGetMetadata, ptraceGetSyscallInfo, ptraceGetRseqConfig:
		n = min(addr, result) // addr is the size of the buffer
	case ptraceGetUserDispatchConfig:
		n = addr
	case ptraceTraceMe, ptracePokeText, ptracePokeData, ptracePokeUsr, ptraceCont, ptraceKill, ptraceSingleStep, ptraceSetRegs, ptraceSetFPRegs,
		ptraceAttach, ptraceDetach, ptraceSyscall, ptraceSetThreadArea, ptraceSysemu, ptraceSysemuStep, ptraceSingleBlock, ptraceSetOptions,
		ptraceSetSigInfo, ptraceSetRegSet, ptraceSeize, ptraceInterrupt, ptraceListen, ptraceSetSigMask, ptraceSetUserDispatchConfig, ptraceSetSyscallInfo:
	default:
		c.unknown("ptrace request %#x", c.args[0])
		return
	}
	if n != 0 && c.written(OnSuccess) {
		c.add(data, min(n, maxFault))
	}
}

// regSet appends what PTRACE_GETREGSET fills: the buffer of a struct iovec, whose
// length then says how much that is.
func (c *call) regSet(iov uint64) {
	base, ok1 := c.word(iov, 8)
	n, ok2 := c.word(iov+8, 8)
	if !ok1 || !ok2 || !c.written(OnSuccess) {
		return
	}
	c.addReadable(base, min(n, maxFault))
	c.add(iov, 16)
}
