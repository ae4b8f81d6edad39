package inject

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// Insn is an instruction whose result differs from run to run or from
// processor to processor.
type Insn uint8

// The instructions that pyrr answers itself.
const (
	Rdtsc Insn = iota + 1
	Rdtscp
	Cpuid
	Rdrand
	Rdseed
	Rdpid
	Xgetbv
	Pause    // where no jump fits; see PauseSite
	Vsyscall // the load of an address in the vsyscall page
	Lsl      // the limit of a segment, one of which holds the number of the processor
)

var insnNames = [...]string{Rdtsc: "rdtsc", Rdtscp: "rdtscp", Cpuid: "cpuid", Rdrand: "rdrand",
	Rdseed: "rdseed", Rdpid: "rdpid", Xgetbv: "xgetbv", Pause: "pause", Vsyscall: "vsyscall", Lsl: "lsl"}

func (i Insn) String() string {
	if int(i) < len(insnNames) && insnNames[i] != "" {
		return insnNames[i]
	}
	return fmt.Sprintf("insn %d", uint8(i))
}

// maxSite bounds the length of a patched instruction. Longer encodings exist
// (any instruction can carry meaningless prefixes) and are left alone.
const maxSite = 10

// A Site is one such instruction in an executable file.
type Site struct {
	Off   uint64        // where in the file
	Vaddr uint64        // link-time address
	Insn  Insn          // which
	Len   int           // in bytes, prefixes included
	Reg   int           // rdrand, rdseed, rdpid, lsl, vsyscall: destination, numbered as in the encoding (0 rax, 1 rcx, …)
	Size  int           // rdrand, rdseed, rdpid, lsl: bytes written, 2, 4 or 8; vsyscall: which, from 0 on
	Orig  [maxSite]byte // its first Len bytes
}

// TrapBytes is ud2. It replaces the start of each site; the program then
// stops with SIGILL at the site, and Emulate takes it past the end.
const TrapBytes = "\x0f\x0b"

// Trap returns the bytes to write over the site: TrapBytes, then NOPs up to
// the length of the instruction, so that disassembly stays in step.
func (s Site) Trap() []byte {
	b := make([]byte, s.Len)
	for i := copy(b, TrapBytes); i < len(b); i++ {
		b[i] = 0x90
	}
	return b
}

// openRegular opens a file that is not a fifo or device: those may block.
func openRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		f.Close()
		if err == nil {
			err = notRegular(path)
		}
		return nil, err
	}
	return f, nil
}

func notRegular(path string) error { return fmt.Errorf("%s is not a regular file", path) }

// sitesOf finds the instructions of an x86-64 ELF file that Insn names. It
// disassembles functions from their starts, known by the unwind table
// (.eh_frame) or by a sized function symbol, to their ends, and follows the
// control flow of code between them that they enter. It never looks for the
// bytes of an instruction elsewhere: data and the middles of longer
// instructions hold the same bytes by chance. Code that is reached in no such
// way is not found. A file that is no x86-64 ELF file has no sites.
func sitesOf(r io.ReaderAt, path string) ([]Site, error) {
	sites, _, err := scan(r)
	if err != nil {
		return nil, fmt.Errorf("disassemble %s: %w", path, err)
	}
	return sites, nil
}

// siteOf classifies a decoded instruction, by those behind it, too, where it loads the
// address of a vsyscall. code goes on to the end of the function, or farCall behind it.
func siteOf(in insn, code []byte) (Site, bool) {
	s, ok := wantedInsn(in, code)
	if ok && s.Insn == Vsyscall {
		ok = s.called(code)
	}
	return s, ok
}

// wantedInsn classifies a decoded instruction by itself (Intel SDM volume 2, the pages of
// each; the register form of lsl and of group 9).
func wantedInsn(in insn, code []byte) (Site, bool) {
	if in.m == mapOne {
		return vsyscallOf(in, code)
	}
	s := Site{Len: in.len}
	if in.m != map0F || in.lock || in.len > maxSite {
		return s, false
	}
	switch in.op {
	case 0x31:
		s.Insn = Rdtsc
	case 0xa2:
		s.Insn = Cpuid
	case 0x01:
		switch {
		case in.modrm == 0xf9:
			s.Insn = Rdtscp
		case in.modrm == 0xd0 && !in.opsize && !in.rep && !in.repne:
			s.Insn = Xgetbv
		}
	case 0x03:
		if in.modrm >= 0xc0 && !in.rep && !in.repne {
			s.Insn, s.Reg, s.Size = Lsl, int(in.modrm>>3&7|in.rex<<1&8), in.operandSize()
		}
	case 0xc7:
		if in.modrm < 0xf0 || in.repne {
			break
		}
		s.Reg, s.Size = int(in.modrm&7|in.rex<<3&8), in.operandSize()
		switch {
		case in.modrm >= 0xf8 && in.rep:
			s.Insn, s.Size = Rdpid, 8
		case in.modrm >= 0xf8:
			s.Insn = Rdseed
		case !in.rep:
			s.Insn = Rdrand
		}
	}
	if s.Insn == 0 {
		return s, false
	}
	copy(s.Orig[:], code[:in.len])
	return s, true
}

// operandSize is the size of an operand that prefixes choose, in bytes.
func (in *insn) operandSize() int {
	switch {
	case in.rex&8 != 0:
		return 8
	case in.opsize:
		return 2
	}
	return 4
}
