package recording

import (
	"math/bits"

	"pyrr/internal/linux"
)

// RegSum is the checksum that Event.RegSum holds: of the registers that a
// function has to preserve in the x86-64 System V ABI (rbx, rbp, rsp,
// r12–r15). The others may differ at a syscall, as the kernel and the
// recorder's own code change them. It takes a few nanoseconds and doesn't
// allocate; it is no protection against forgery.
func RegSum(r *linux.Regs) uint32 {
	const k = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio, odd
	h := uint64(k)
	h = bits.RotateLeft64((h^r.Rbx)*k, 29)
	h = bits.RotateLeft64((h^r.Rbp)*k, 29)
	h = bits.RotateLeft64((h^r.Rsp)*k, 29)
	h = bits.RotateLeft64((h^r.R12)*k, 29)
	h = bits.RotateLeft64((h^r.R13)*k, 29)
	h = bits.RotateLeft64((h^r.R14)*k, 29)
	h = bits.RotateLeft64((h^r.R15)*k, 29)
	return uint32(h ^ h>>32)
}
