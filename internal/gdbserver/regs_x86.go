package gdbserver

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"pyrr/replay"
)

// description is the target description: gdb numbers the registers in its
// order.
func description() string {
	var b strings.Builder
	reg := func(name string, bits int, typ, group string) {
		fmt.Fprintf(&b, `<reg name="%s" bitsize="%d" type="%s"`, name, bits, typ)
		if group != "" {
			fmt.Fprintf(&b, ` group="%s"`, group)
		}
		b.WriteString("/>")
	}
	b.WriteString(`<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target><architecture>i386:x86-64</architecture><osabi>GNU/Linux</osabi>` +
		`<feature name="org.gnu.gdb.i386.core">`)
	for _, n := range []string{"rax", "rbx", "rcx", "rdx", "rsi", "rdi"} {
		reg(n, 64, "int64", "")
	}
	reg("rbp", 64, "data_ptr", "")
	reg("rsp", 64, "data_ptr", "")
	for i := 8; i < 16; i++ {
		reg(fmt.Sprintf("r%d", i), 64, "int64", "")
	}
	reg("rip", 64, "code_ptr", "")
	for _, n := range []string{"eflags", "cs", "ss", "ds", "es", "fs", "gs"} {
		reg(n, 32, "int32", "")
	}
	for i := range 8 {
		reg(fmt.Sprintf("st%d", i), 80, "i387_ext", "")
	}
	for _, n := range []string{"fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop"} {
		reg(n, 32, "int", "float")
	}
	b.WriteString(`</feature><feature name="org.gnu.gdb.i386.sse">`)
	for i := range 16 {
		reg(fmt.Sprintf("xmm%d", i), 128, "uint128", "")
	}
	reg("mxcsr", 32, "int", "vector")
	b.WriteString(`</feature><feature name="org.gnu.gdb.i386.linux">`)
	reg("orig_rax", 64, "int", "system")
	b.WriteString(`</feature><feature name="org.gnu.gdb.i386.segments">`)
	reg("fs_base", 64, "int", "")
	reg("gs_base", 64, "int", "")
	b.WriteString(`</feature><feature name="org.gnu.gdb.i386.avx">`)
	for i := range 16 {
		reg(fmt.Sprintf("ymm%dh", i), 128, "uint128", "")
	}
	b.WriteString(`</feature></target>`)
	return b.String()
}

// thread returns the thread that gdb asks for.
func (s *Server) thread() (replay.ThreadState, bool) {
	ts, err := s.Session.Threads()
	if err != nil || len(ts) == 0 {
		return replay.ThreadState{}, false
	}
	for _, t := range ts {
		if t.TID == s.general || s.general == 0 && t.Current {
			return t, true
		}
	}
	return ts[0], true
}

// values lists a thread's registers in the order of the description.
func values(t *replay.ThreadState) [][]byte {
	r := &t.Regs
	var out [][]byte
	u64 := func(vs ...uint64) {
		for _, v := range vs {
			out = append(out, binary.LittleEndian.AppendUint64(nil, v))
		}
	}
	u32 := func(vs ...uint64) {
		for _, v := range vs {
			out = append(out, binary.LittleEndian.AppendUint32(nil, uint32(v)))
		}
	}
	u64(r.Rax, r.Rbx, r.Rcx, r.Rdx, r.Rsi, r.Rdi, r.Rbp, r.Rsp, r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15, r.Rip)
	u32(r.Eflags, r.Cs, r.Ss, r.Ds, r.Es, r.Fs, r.Gs)
	// The XSAVE area (Intel SDM 1, 13.4): FXSAVE's 512 bytes, the header with
	// the components in use, and the upper halves of AVX at 576.
	x := make([]byte, 832)
	copy(x, t.XState)
	for i := range 8 {
		out = append(out, x[32+16*i:32+16*i+10])
	}
	u16 := func(at int) uint64 { return uint64(binary.LittleEndian.Uint16(x[at:])) }
	w32 := func(at int) uint64 { return uint64(binary.LittleEndian.Uint32(x[at:])) }
	// The tag word of FXSAVE has one bit a register, gdb's two: 3 for empty.
	tags := uint64(0)
	for i := range 8 {
		if x[4]>>i&1 == 0 {
			tags |= 3 << (2 * i)
		}
	}
	u32(u16(0), u16(2), tags, u16(12), w32(8), u16(20), w32(16), u16(6))
	for i := range 16 {
		out = append(out, x[160+16*i:176+16*i])
	}
	u32(w32(24))
	u64(r.OrigRax, r.FsBase, r.GsBase)
	const avx = 1 << 2 // XSTATE_BV: not in use means zero
	for i := range 16 {
		v := make([]byte, 16)
		if binary.LittleEndian.Uint64(x[512:])&avx != 0 {
			copy(v, x[576+16*i:])
		}
		out = append(out, v)
	}
	return out
}

func (s *Server) registers() string {
	t, ok := s.thread()
	if !ok {
		return "E01"
	}
	var b strings.Builder
	for _, v := range values(&t) {
		b.WriteString(hex.EncodeToString(v))
	}
	return b.String()
}

func (s *Server) register(number string) string {
	t, ok := s.thread()
	n, err := strconv.ParseUint(number, 16, 16)
	if !ok || err != nil {
		return "E01"
	}
	all := values(&t)
	if n >= uint64(len(all)) {
		return "E01"
	}
	return hex.EncodeToString(all[n])
}
