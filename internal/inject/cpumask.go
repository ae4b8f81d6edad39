package inject

// What a program is shown of CPUID: an allow-list, so that what a future
// processor adds is hidden until someone has looked at it. Bits are those of
// Intel SDM volume 2, CPUID, and AMD APM volume 3, appendix E.

// maxLeaf is the highest basic leaf shown (V2 extended topology).
const maxLeaf = 0x1f

func bits(n ...uint) (m uint32) {
	for _, b := range n {
		m |= 1 << b
	}
	return m
}

// Never shown, whatever the options: RDRAND, RDSEED, RDPID, RDPRU (answers
// not reproducible); RTM, HLE, WAITPKG, MONITORX (depend on timing);
// shadow stacks and IBT (pyrr writes signal frames and return addresses);
// PKU, AMX, APX, AVX10 (state that neither leaf 13 nor XCR0 shows).
var (
	// x86-64-v3 of the psABI, with AES and PCLMULQDQ, which every processor
	// of that level has.
	leaf1C = bits(0 /* sse3 */, 1 /* pclmulqdq */, 9 /* ssse3 */, 12 /* fma */, 13 /* cx16 */, 19, 20, /* sse4.1, sse4.2 */
		22 /* movbe */, 23 /* popcnt */, 25 /* aes */, 26, 27 /* xsave, osxsave */, 28 /* avx */, 29 /* f16c */, 31 /* hypervisor */)
	// BMI1, AVX2, BMI2, and what needs no instruction of its own: ERMS, the
	// two notes about the x87 pointers.
	leaf7B = bits(3, 5, 8, 6, 9, 13)
	leaf7D = bits(4) // FSRM: rep movsb is fast
	// LAHF, CmpLegacy, ABM, misaligned SSE, PREFETCHW, topology extensions.
	leafX1C = bits(0, 1, 5, 7, 8, 22)

	// With Options.AVX512: FSGSBASE, AVX512F, DQ, ADX, IFMA, PF, CLFLUSHOPT,
	// CLWB, ER, CD, SHA, BW, VL.
	leaf7BWide = bits(0, 16, 17, 19, 21, 26, 23, 24, 27, 28, 29, 30, 31)
	// VBMI, VBMI2, GFNI, VAES, VPCLMULQDQ, VNNI, BITALG, VPOPCNTDQ, MOVDIRI, MOVDIR64B.
	leaf7CWide = bits(1, 6, 8, 9, 10, 11, 12, 14, 27, 28)
	// 4VNNIW, 4FMAPS, VP2INTERSECT, SERIALIZE, FP16.
	leaf7DWide = bits(2, 3, 8, 14, 23)
	// SHA512, SM3, SM4, AVX-VNNI, AVX512-BF16, FZRM, FSRS, FSRCS, AVX-IFMA.
	leaf71AWide = bits(0, 1, 2, 4, 5, 10, 11, 12, 23)
	// AVX-VNNI-INT8, AVX-NE-CONVERT, AVX-VNNI-INT16.
	leaf71DWide = bits(4, 5, 10)
	leafX1CWide = bits(6 /* sse4a */, 11 /* xop */, 16 /* fma4 */, 21 /* tbm */)
)

// show answers one leaf. All numbers that depend on the processor the thread
// happens to run on (APIC, core and node ids) are 0.
func (c *CPU) show(leaf, sub uint32) [4]uint32 {
	r := c.real.at(leaf, sub)
	wide := func(base, more uint32) uint32 {
		if c.opts.AVX512 {
			base |= more
		}
		return base
	}
	switch leaf {
	case 0:
		r[eax] = min(r[eax], maxLeaf)
	case 1:
		r[ebx] &= 0x00ffffff // initial APIC id
		r[ecx] &= leaf1C
	case 2, 4, 0x15, 0x16, 0x18: // caches, TSC frequency, TLBs
	case 7:
		switch sub {
		case 0:
			r[eax] = min(r[eax], wide(0, 1)) // highest sub-leaf
			r[ebx] &= wide(leaf7B, leaf7BWide)
			r[ecx] &= wide(0, leaf7CWide)
			r[edx] &= wide(leaf7D, leaf7DWide)
		case 1:
			r = [4]uint32{eax: r[eax] & wide(0, leaf71AWide), edx: r[edx] & wide(0, leaf71DWide)}
		default:
			r = [4]uint32{}
		}
	case 0xb, 0x1f: // topology
		if r[eax]|r[ebx] == 0 {
			r[ecx] = sub & 0xff // the one part that is echoed
		}
		r[edx] = 0 // x2APIC id
	case 0xd:
		r = c.showXSave(sub)
	case 0x80000001:
		r[ebx] = 0
		r[ecx] &= wide(leafX1C, leafX1CWide)
		r[edx] &^= bits(30, 31) // 3DNow!
	case 0x80000007:
		r = [4]uint32{edx: r[edx] & bits(8)} // invariant TSC
	case 0x80000008:
		r[ebx] = 0 // CLZERO, RDPRU, MCOMMIT, …
	case 0x8000001e:
		r[eax] = 0
		r[ebx] &^= 0xff
		r[ecx] &^= 0xff
	case 0x80000026:
		r[edx] = 0
	case 0x80000000, 0x80000002, 0x80000003, 0x80000004, 0x80000005, 0x80000006,
		0x80000019, 0x8000001a, 0x8000001d: // brand, caches, TLBs, performance hints
	default:
		// Monitor, power, performance counters, quality of service, SGX,
		// processor trace, key locker, core type, tiles: no use to a traced
		// program or different on each core of a hybrid processor. A
		// hypervisor's leaves are the same everywhere.
		if leaf>>8 != 0x400000 {
			r = [4]uint32{}
		}
	}
	return r
}

// Hwcap2 is what a program is shown of AT_HWCAP2 (asm/hwcap2.h), of what the kernel says:
// MONITOR and MWAIT never, FSGSBASE where CPUID shows it.
func (c *CPU) Hwcap2(v uint64) uint64 {
	v &^= 1
	if c.show(7, 0)[ebx]&1 == 0 {
		v &^= 2
	}
	return v
}

// showXSave answers leaf 13. XSAVEOPT, XSAVEC, XGETBV with ECX=1 and XSAVES
// stay hidden: what they write depends on which state the processor happens
// to track as in use. ld.so then binds lazily with plain XSAVE.
func (c *CPU) showXSave(sub uint32) [4]uint32 {
	switch {
	case c.HostXSaveSize == 0:
		return [4]uint32{}
	case sub == 0:
		size := uint32(c.XSaveSize)
		return [4]uint32{eax: uint32(c.XCR0), ebx: size, ecx: size, edx: uint32(c.XCR0 >> 32)}
	case sub >= 2 && sub < 20 && c.XCR0>>sub&1 != 0:
		return c.real.at(0xd, sub)
	}
	return [4]uint32{}
}

// A feature is an instruction set that a program can come to depend on.
type feature struct {
	name      string
	leaf, sub uint32
	reg       int
	bit       uint
	state     uint64 // of XCR0, without which it can't be used
}

const (
	avxState    = xcrX87SSE | xcrAVX
	avx512State = avxState | xcrAVX512
)

// featureTable names features as Linux does (arch/x86/include/asm/cpufeatures.h).
// Hints and features without instructions for programs are not in it: a
// replay doesn't need them.
var featureTable = []feature{
	{"pni", 1, 0, ecx, 0, 0}, {"pclmulqdq", 1, 0, ecx, 1, 0}, {"ssse3", 1, 0, ecx, 9, 0},
	{"fma", 1, 0, ecx, 12, avxState}, {"cx16", 1, 0, ecx, 13, 0}, {"sse4_1", 1, 0, ecx, 19, 0},
	{"sse4_2", 1, 0, ecx, 20, 0}, {"movbe", 1, 0, ecx, 22, 0}, {"popcnt", 1, 0, ecx, 23, 0},
	{"aes", 1, 0, ecx, 25, 0}, {"xsave", 1, 0, ecx, 27, 0}, {"avx", 1, 0, ecx, 28, avxState},
	{"f16c", 1, 0, ecx, 29, avxState},
	{"fsgsbase", 7, 0, ebx, 0, 0}, {"bmi1", 7, 0, ebx, 3, 0}, {"avx2", 7, 0, ebx, 5, avxState},
	{"bmi2", 7, 0, ebx, 8, 0}, {"adx", 7, 0, ebx, 19, 0}, {"clflushopt", 7, 0, ebx, 23, 0},
	{"clwb", 7, 0, ebx, 24, 0}, {"sha_ni", 7, 0, ebx, 29, 0},
	{"avx512f", 7, 0, ebx, 16, avx512State}, {"avx512dq", 7, 0, ebx, 17, avx512State},
	{"avx512ifma", 7, 0, ebx, 21, avx512State}, {"avx512pf", 7, 0, ebx, 26, avx512State},
	{"avx512er", 7, 0, ebx, 27, avx512State}, {"avx512cd", 7, 0, ebx, 28, avx512State},
	{"avx512bw", 7, 0, ebx, 30, avx512State}, {"avx512vl", 7, 0, ebx, 31, avx512State},
	{"avx512vbmi", 7, 0, ecx, 1, avx512State}, {"avx512_vbmi2", 7, 0, ecx, 6, avx512State},
	{"gfni", 7, 0, ecx, 8, 0}, {"vaes", 7, 0, ecx, 9, avxState}, {"vpclmulqdq", 7, 0, ecx, 10, avxState},
	{"avx512_vnni", 7, 0, ecx, 11, avx512State}, {"avx512_bitalg", 7, 0, ecx, 12, avx512State},
	{"avx512_vpopcntdq", 7, 0, ecx, 14, avx512State}, {"movdiri", 7, 0, ecx, 27, 0}, {"movdir64b", 7, 0, ecx, 28, 0},
	{"avx512_4vnniw", 7, 0, edx, 2, avx512State}, {"avx512_4fmaps", 7, 0, edx, 3, avx512State},
	{"avx512_vp2intersect", 7, 0, edx, 8, avx512State}, {"serialize", 7, 0, edx, 14, 0},
	{"avx512_fp16", 7, 0, edx, 23, avx512State},
	{"sha512", 7, 1, eax, 0, avxState}, {"sm3", 7, 1, eax, 1, avxState}, {"sm4", 7, 1, eax, 2, avxState},
	{"avx_vnni", 7, 1, eax, 4, avxState}, {"avx512_bf16", 7, 1, eax, 5, avx512State}, {"avx_ifma", 7, 1, eax, 23, avxState},
	{"avx_vnni_int8", 7, 1, edx, 4, avxState}, {"avx_ne_convert", 7, 1, edx, 5, avxState}, {"avx_vnni_int16", 7, 1, edx, 10, avxState},
	{"lahf_lm", 0x80000001, 0, ecx, 0, 0}, {"abm", 0x80000001, 0, ecx, 5, 0}, {"sse4a", 0x80000001, 0, ecx, 6, 0},
	{"xop", 0x80000001, 0, ecx, 11, avxState}, {"fma4", 0x80000001, 0, ecx, 16, avxState}, {"tbm", 0x80000001, 0, ecx, 21, 0},
	{"rdtscp", 0x80000001, 0, edx, 27, 0},
}
