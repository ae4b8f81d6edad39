package inject

import (
	"bytes"
	"encoding/binary"
)

// The image that stands in for the kernel's vDSO is an ELF file of pyrr's
// own rather than an edited copy: its bytes are then the same under every
// kernel. It exports clock_gettime, and gettimeofday, time and getcpu, for which old C
// libraries would fall back to the vsyscall page, under the names and the version that
// C libraries look for (Linux, arch/x86/entry/vdso/vdso.lds.S); for the rest
// they fall back to system calls. It has all that the loaders of glibc, musl
// and Go ask for: both hash tables, symbol versions, and unwind information
// for the code behind it.

// Names in the string table.
const (
	vdsoSoname  = "linux-vdso.so.1"
	vdsoVersion = "LINUX_2.6"
	vdsoPrefix  = "__vdso_"
	vdsoTime    = vdsoPrefix + "clock_gettime"
)

// vdsoFunc is a function of the vDSO, without the prefix of its name.
type vdsoFunc struct {
	name     string
	off, len uint32
}

// Sections, in file order; the index is the section number.
const (
	secNull = iota
	secHash
	secGnuHash
	secDynsym
	secDynstr
	secVersym
	secVerdef
	secDynamic
	secEHFrameHdr
	secEHFrame
	secShstrtab
	secText
	secCount
)

var secNames = [secCount]string{"", ".hash", ".gnu.hash", ".dynsym", ".dynstr", ".gnu.version", ".gnu.version_d",
	".dynamic", ".eh_frame_hdr", ".eh_frame", ".shstrtab", ".text"}

// A strtab collects strings and their offsets.
type strtab struct{ b []byte }

func (s *strtab) add(name string) uint32 {
	if len(s.b) == 0 {
		s.b = []byte{0}
	}
	if name == "" {
		return 0
	}
	n := len(s.b)
	s.b = append(append(s.b, name...), 0)
	return uint32(n)
}

func le(vs ...any) []byte {
	var b bytes.Buffer
	for _, v := range vs {
		// Only fixed-size values come here, so this can't fail.
		_ = binary.Write(&b, binary.LittleEndian, v)
	}
	return b.Bytes()
}

func elfHash(s string) (h uint32) {
	for i := range len(s) {
		h = h<<4 + uint32(s[i])
		h ^= h >> 24 & 0xf0
	}
	return h & 0x0fffffff
}

func gnuHash(s string) uint32 {
	h := uint32(5381)
	for i := range len(s) {
		h = h*33 + uint32(s[i])
	}
	return h
}

// secAttrs are sh_type, sh_flags, sh_link, sh_info, sh_addralign, sh_entsize of each
// section.
var secAttrs = [secCount][6]uint64{
	secHash: {5, shfAlloc, secDynsym, 0, 8, 4}, secGnuHash: {0x6ffffff6, shfAlloc, secDynsym, 0, 8, 0},
	secDynsym: {11, shfAlloc, secDynstr, 1, 8, 24}, secDynstr: {3, shfAlloc, 0, 0, 1, 0},
	secVersym: {0x6fffffff, shfAlloc, secDynsym, 0, 2, 2}, secVerdef: {0x6ffffffd, shfAlloc, secDynstr, 2, 4, 0},
	secDynamic: {6, shfAlloc, secDynstr, 0, 8, 16}, secEHFrameHdr: {1, shfAlloc, 0, 0, 4, 0}, secEHFrame: {1, shfAlloc, 0, 0, 8, 0},
	secShstrtab: {3, 0, 0, 0, 1, 0}, secText: {1, shfAlloc | shfExec, 0, 0, 16, 0},
}

// SHF_ALLOC and SHF_EXECINSTR, elf(5).
const shfAlloc, shfExec = 2, 4

// vdso is the image for the code.
func (l *stubLayout) vdso() []byte {
	funcs := []vdsoFunc{{"clock_gettime", l.timeFunc, l.replay - l.timeFunc}}
	for i, name := range []string{"gettimeofday", "time", "getcpu"} {
		funcs = append(funcs, vdsoFunc{name, l.vsyscall[i], vsyscallLen})
	}
	return buildVDSO(codeOff, uint32(len(l.code)), funcs, l.cfi)
}

// vdsoSymbols makes the tables of the functions, each by its name and, weak, by the name
// without prefix: symbols, versions and both hash tables.
func vdsoSymbols(str *strtab, version uint32, funcs []vdsoFunc) (syms []byte, versions []uint16, hash, gnu []byte) {
	sym := func(name uint32, info uint8, shndx uint16, value, size uint64) {
		syms = append(syms, le(name, info, uint8(0), shndx, value, size)...)
		versions = append(versions, 2)
	}
	const global, weak, object, function = 1 << 4, 2 << 4, 1, 2
	sym(0, 0, 0, 0, 0)
	versions[0] = 0
	sym(version, global|object, 0xfff1 /* SHN_ABS */, 0, 0)
	names := []string{vdsoVersion}
	for _, f := range funcs {
		for _, v := range []struct {
			name string
			bind uint8
		}{{vdsoPrefix + f.name, global}, {f.name, weak}} {
			sym(str.add(v.name), v.bind|function, secText, uint64(f.off), uint64(f.len))
			names = append(names, v.name)
		}
	}
	// One bucket; its chain runs 1, 2, 3, …
	n := uint32(len(versions))
	chain := []uint32{1, n, 1, 0}
	for i := uint32(2); i < n; i++ {
		chain = append(chain, i)
	}
	return syms, versions, le(append(chain, 0)), gnuHashTable(names, 1)
}

// buildVDSO makes the image, whose code is mapped at textOff behind its start. cfi is the
// unwind program of that code.
func buildVDSO(textOff, textLen uint32, funcs []vdsoFunc, cfi []byte) []byte {
	const ehdrSize, phdrSize, shdrSize, phnum = 64, 56, 64, 3

	var str strtab
	soname, version := str.add(vdsoSoname), str.add(vdsoVersion)
	syms, versions, hash, gnu := vdsoSymbols(&str, version, funcs)
	data := [secCount][]byte{
		secDynsym:  syms,
		secDynstr:  str.b,
		secVersym:  le(versions),
		secHash:    hash,
		secGnuHash: gnu,
		// Elf64_Verdef and Elf64_Verdaux, the base version and the real one.
		secVerdef: bytes.Join([][]byte{
			le([]uint16{1, 1 /* VER_FLG_BASE */, 1, 1}, elfHash(vdsoSoname), uint32(20), uint32(28), soname, uint32(0)),
			le([]uint16{1, 0, 2, 1}, elfHash(vdsoVersion), uint32(20), uint32(0), version, uint32(0)),
		}, nil),
		secDynamic:    make([]byte, 16*11),
		secEHFrameHdr: make([]byte, 20),
		secEHFrame:    make([]byte, len(ehFrameOf(0, 0, 0, cfi))),
	}
	var shstr strtab
	var nameOf [secCount]uint32
	for i, n := range secNames {
		nameOf[i] = shstr.add(n)
	}
	data[secShstrtab] = shstr.b

	var off [secCount]uint32
	pos := uint32(ehdrSize + phnum*phdrSize)
	for i := 1; i < secText; i++ {
		pos = (pos + 15) &^ 15
		off[i] = pos
		pos += uint32(len(data[i]))
	}
	off[secText] = textOff
	shoff := (pos + 15) &^ 15

	dyn := func(pairs ...uint64) []byte { return le(pairs) }
	copy(data[secDynamic], dyn(
		14 /* SONAME */, uint64(soname), 4 /* HASH */, uint64(off[secHash]), 0x6ffffef5 /* GNU_HASH */, uint64(off[secGnuHash]),
		5 /* STRTAB */, uint64(off[secDynstr]), 6 /* SYMTAB */, uint64(off[secDynsym]), 10 /* STRSZ */, uint64(len(str.b)),
		11 /* SYMENT */, 24, 0x6ffffffc /* VERDEF */, uint64(off[secVerdef]), 0x6ffffffd /* VERDEFNUM */, 2,
		0x6ffffff0 /* VERSYM */, uint64(off[secVersym]), 0, 0))
	copy(data[secEHFrame], ehFrameOf(off[secEHFrame], textOff, textLen, cfi))
	copy(data[secEHFrameHdr], ehFrameHdr(off[secEHFrameHdr], off[secEHFrame], textOff))

	out := make([]byte, int(shoff)+secCount*shdrSize)
	copy(out, le([]byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00"), uint16(3) /* ET_DYN */, uint16(62) /* EM_X86_64 */, uint32(1),
		uint64(0), uint64(ehdrSize), uint64(shoff), uint32(0),
		[]uint16{ehdrSize, phdrSize, phnum, shdrSize, secCount, secShstrtab}))
	phdr := func(typ, flags uint32, off, size, align uint64) []byte {
		return le(typ, flags, off, off, off, size, size, align)
	}
	end := uint64(textOff + textLen)
	copy(out[ehdrSize:], bytes.Join([][]byte{
		phdr(1 /* PT_LOAD */, 5, 0, end, 0x1000),
		phdr(2 /* PT_DYNAMIC */, 4, uint64(off[secDynamic]), uint64(len(data[secDynamic])), 8),
		phdr(0x6474e550 /* PT_GNU_EH_FRAME */, 4, uint64(off[secEHFrameHdr]), uint64(len(data[secEHFrameHdr])), 4),
	}, nil))
	for i := 1; i < secText; i++ {
		copy(out[off[i]:], data[i])
	}

	writeSections(out[shoff:], &data, &nameOf, &off, textLen)
	return out
}

// writeSections writes the headers of the sections.
func writeSections(out []byte, data *[secCount][]byte, nameOf, off *[secCount]uint32, textLen uint32) {
	for i := 1; i < secCount; i++ {
		a, size := secAttrs[i], uint64(len(data[i]))
		if i == secText {
			size = uint64(textLen)
		}
		addr := uint64(off[i])
		if a[1] == 0 {
			addr = 0
		}
		copy(out[i*64:], le(nameOf[i], uint32(a[0]), a[1], addr, uint64(off[i]), size, uint32(a[2]), uint32(a[3]), a[4], a[5]))
	}
}

// gnuHashTable is a DT_GNU_HASH table with one bucket over the symbols from
// number first on (glibc, elf/dl-lookup.c).
func gnuHashTable(names []string, first uint32) []byte {
	const shift = 6
	var bloom uint64
	chain := make([]uint32, len(names))
	for i, n := range names {
		h := gnuHash(n)
		bloom |= 1<<(h%64) | 1<<(h>>shift%64)
		chain[i] = h &^ 1
	}
	chain[len(chain)-1] |= 1
	return le([]uint32{1, first, 1, shift}, bloom, first, chain)
}

// ehFrameOf is an .eh_frame section at off with one CIE and one FDE, for the
// code at textOff (Linux Standard Base, 10.6).
func ehFrameOf(off, textOff, textLen uint32, cfi []byte) []byte {
	pad := func(b []byte) []byte {
		for (len(b)+4)%8 != 0 {
			b = append(b, 0) // DW_CFA_nop
		}
		return b
	}
	// Version 1, "zR", code alignment 1, data alignment -8, return address
	// in column 16; pointers are pc-relative, 4 bytes; CFA = rsp+8, return
	// address at CFA-8.
	cie := pad([]byte{0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, encPCRel | encSdata4, 0x0c, 7, 8, 0x90, 1})
	out := append(le(uint32(len(cie))), cie...)
	fdeOff := uint32(len(out))
	fde := le(fdeOff+4, textOff-(off+fdeOff+8), textLen, uint8(0))
	fde = pad(append(fde, cfi...))
	out = append(append(out, le(uint32(len(fde)))...), fde...)
	return append(out, 0, 0, 0, 0)
}

// ehFrameHdr is the .eh_frame_hdr section at off for that one FDE.
func ehFrameHdr(off, frameOff, textOff uint32) []byte {
	const cieLen = 24 // of ehFrameOf, its length word included
	return le([]byte{1, encPCRel | encSdata4, encUdata4, 0x30 | encSdata4},
		frameOff-(off+4), uint32(1), textOff-off, frameOff+cieLen-off)
}
