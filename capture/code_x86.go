package capture

import (
	"encoding/binary"

	"pyrr/internal/ptrace"
	"pyrr/internal/sys"
)

// execAgain is the code of a call that must not return: syscall; ud2.
var execAgain = []byte{0x0f, 0x05, 0x0f, 0x0b}

// callCode is a function that makes a system call: mov eax, nr; syscall; ret.
func callCode(nr uint32) []byte {
	return append(binary.LittleEndian.AppendUint32([]byte{0xb8}, nr), 0x0f, 0x05, 0xc3)
}

// jumpCode is one that goes on elsewhere: mov rax, to; jmp rax.
func jumpCode(to uint64) []byte {
	return append(binary.LittleEndian.AppendUint64([]byte{0x48, 0xb8}, to), 0xff, 0xe0)
}

// restarted is the number of the system call that the kernel has a thread make again.
// Before each call of that kind an instruction sets the number.
func restarted(pid int, pc uint64) int {
	const mov, size = 0xb8, 5 // mov eax, NUMBER
	var b [32]byte
	if (ptrace.Mem)(pid).ReadAt(b[:], pc-uint64(len(b))) != nil || string(b[len(b)-2:]) != string(ptrace.Gadget[:2]) {
		return sys.SYS_RESTART_SYSCALL
	}
	for i := len(b) - 2 - size; i >= 0; i-- {
		if b[i] != mov {
			continue
		}
		switch nr := binary.LittleEndian.Uint32(b[i+1:]); nr {
		case sys.SYS_POLL, sys.SYS_FUTEX, sys.SYS_NANOSLEEP, sys.SYS_CLOCK_NANOSLEEP:
			return int(nr)
		}
	}
	return sys.SYS_RESTART_SYSCALL
}
