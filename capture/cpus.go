package capture

import (
	"encoding/binary"
	"strings"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
)

// asksForPython reports whether a thread at a system call made it for the
// interpreter, not for a library that Python has loaded: whose code the first
// return address on its stack leads to that is none of the C library's.
func (r *recorder) asksForPython(t *task) bool {
	const words = 64
	maps, err := linux.ReadMaps(t.pid)
	if err != nil {
		return true
	}
	b := make([]byte, 8*words)
	for len(b) > 0 && (ptrace.Mem)(t.tid).ReadAt(b, t.regs.SP()) != nil {
		b = b[:len(b)/2&^7]
	}
	for ; len(b) >= 8; b = b[8:] {
		to := binary.LittleEndian.Uint64(b)
		for i := range maps {
			m := &maps[i]
			if to < m.Start || to >= m.End || m.Prot&unix.PROT_EXEC == 0 || m.Ino == 0 || isLibc(m.Path) {
				continue
			}
			return m.Path == t.proc.exe || strings.HasPrefix(shortName(m.Path), "libpython")
		}
	}
	return true
}

// firstCPUs is a mask with the first n processors of another.
func firstCPUs(mask []byte, n int) []byte {
	out := make([]byte, len(mask))
	for i := range mask {
		for bit := range 8 {
			if n > 0 && mask[i]&(1<<bit) != 0 {
				out[i] |= 1 << bit
				n--
			}
		}
	}
	return out
}
