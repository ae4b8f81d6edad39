package capture

import (
	"encoding/binary"
	"fmt"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
)

// frameBytes reads the frame that the kernel put on the stack: from the new
// stack pointer to the old one, or, on an alternate stack, to the end of the
// XSAVE area, which lies highest (arch/x86/kernel/signal_64.c).
func (r *recorder) frameBytes(t *task, before, after *linux.Regs) ([]byte, error) {
	n := before.SP() - after.SP()
	if before.SP() < after.SP() || n > maxFrame {
		// ucontext: flags, link, stack_t at +16; the frame starts with the
		// return address. fpstate is at mcontext+184.
		const fpstate = 8 + 40 + 184
		fp, err := readU64(t.tid, after.SP()+fpstate)
		if err != nil {
			return nil, fmt.Errorf("read the signal frame: %w", err)
		}
		var legacy [fxsave]byte
		if err := (ptrace.Mem)(t.tid).ReadAt(legacy[:], fp); err != nil {
			return nil, fmt.Errorf("read the signal frame: %w", err)
		}
		n = fp + fpstateSize(&legacy) - after.SP()
		if fp < after.SP() || n > maxFrame {
			return nil, fmt.Errorf("a signal frame of %d bytes", n)
		}
	}
	b := make([]byte, n)
	if err := (ptrace.Mem)(t.tid).ReadAt(b, after.SP()); err != nil {
		return nil, fmt.Errorf("read the signal frame: %w", err)
	}
	return b, nil
}

// fxsave is the size of the area that FXSAVE writes, with which each XSAVE area begins.
const fxsave = 512

// fpstateSize is how much the kernel saved of the floating point state on a signal's
// frame, as the frame itself tells (struct _fpx_sw_bytes in uapi/asm/sigcontext.h). It is
// less than the XSAVE area that ptrace shows where the program did not ask for all of the
// processor's features, such as AMX.
func fpstateSize(legacy *[fxsave]byte) uint64 {
	const magic1, swBytes, extendedSize = 0x46505853, 464, 468
	if binary.LittleEndian.Uint32(legacy[swBytes:]) != magic1 {
		return fxsave
	}
	return max(fxsave, uint64(binary.LittleEndian.Uint32(legacy[extendedSize:])))
}
