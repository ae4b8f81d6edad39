package inject

// featureOf names the instruction set that an instruction is of, by its name in /proc/cpuinfo,
// where it is one that programs are not shown (Intel SDM volume 2, chapters 3 to 5); "" for any
// other. Of AVX-512's many it is the one that all have.
func featureOf(in insn, code []byte) string {
	memory, field := in.modrm>>6 != 3, in.modrm>>3&7
	switch in.m {
	case map0F:
		switch {
		case in.op == 0xae && in.rep && !memory && field < 4: // rdfsbase to wrgsbase
			return "fsgsbase"
		case in.op == 0xae && in.opsize && memory && field == 6:
			return "clwb"
		case in.op == 0xae && in.opsize && memory && field == 7:
			return "clflushopt"
		}
	case map0F38:
		switch {
		case in.op >= 0xc8 && in.op <= 0xcd && !in.opsize:
			return "sha_ni"
		case in.op == 0xcf && in.opsize:
			return "gfni"
		case in.op == 0xf6 && in.opsize != in.rep: // adcx, adox
			return "adx"
		case in.op == 0xf8 && in.opsize:
			return "movdir64b"
		case in.op == 0xf9 && !in.opsize:
			return "movdiri"
		}
	case map0F3A:
		switch {
		case in.op == 0xcc && !in.opsize:
			return "sha_ni"
		case (in.op == 0xce || in.op == 0xcf) && in.opsize:
			return "gfni"
		}
	case mapVector:
		return vectorFeature(in, code)
	}
	return ""
}

// vectorFeature is featureOf for what has a prefix of its own.
func vectorFeature(in insn, code []byte) string {
	for code[0] == 0x64 || code[0] == 0x65 || code[0] == 0x67 { // fs, gs, addresses of 32 bits
		code = code[1:]
	}
	switch code[0] {
	case 0x62:
		return "avx512f"
	case 0xc4:
	default:
		return ""
	}
	wide := code[2]&4 != 0 // 256 bits
	switch m := code[1] & 0x1f; {
	case m == 2 && in.op >= 0xdc && in.op <= 0xdf && wide:
		return "vaes"
	case m == 3 && in.op == 0x44 && wide:
		return "vpclmulqdq"
	case m == 2 && in.op == 0xcf, m == 3 && (in.op == 0xce || in.op == 0xcf):
		return "gfni"
	case m == 2 && in.op >= 0x50 && in.op <= 0x53:
		return "avx_vnni"
	}
	return ""
}

// Lacking names the instruction set, of those that programs are not shown, that the instruction at
// the start of code is of, and that this processor lacks; "" for any other.
func (c *CPU) Lacking(code []byte) string {
	in, ok := decode(code)
	if !ok {
		return ""
	}
	if name := featureOf(in, code); name != "" && len(c.Missing([]string{name})) > 0 {
		return name
	}
	return ""
}
