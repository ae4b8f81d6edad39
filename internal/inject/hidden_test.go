package inject

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// hiddenCode has instructions of sets that programs are not shown, and others like them.
const hiddenCode = `
sha1nexte %xmm1, %xmm0           # sha_ni
sha1rnds4 $1, %xmm1, %xmm0       # sha_ni
sha256rnds2 %xmm0, %xmm1, %xmm2  # sha_ni
gf2p8mulb %xmm1, %xmm0           # gfni
gf2p8affineqb $1, %xmm1, %xmm0   # gfni
vgf2p8mulb %ymm2, %ymm1, %ymm0   # gfni
adcxq %rax, %rbx                 # adx
adoxl %eax, (%rbx)               # adx
rdfsbase %rax                    # fsgsbase
wrgsbase %eax                    # fsgsbase
clwb (%rax)                      # clwb
clflushopt 8(%rax,%rcx)          # clflushopt
movdir64b (%rax), %rbx           # movdir64b
movdiri %eax, (%rbx)             # movdiri
vaesenc %ymm2, %ymm1, %ymm0      # vaes
vpclmulqdq $1, %ymm2, %ymm1, %ymm0 # vpclmulqdq
{vex} vpdpbusd %ymm2, %ymm1, %ymm0 # avx_vnni
vaddps %zmm2, %zmm1, %zmm0       # avx512f
vmovdqu64 %fs:(%rax), %ymm16     # avx512f
vaddps %ymm2, %ymm1, %ymm0       # -
vaesenc %xmm2, %xmm1, %xmm0      # -
aesenc %xmm1, %xmm0              # -
movbe %eax, (%rbx)               # -
crc32l %eax, %ebx                # -
pshufb %xmm1, %xmm0              # -
clflush (%rax)                   # -
mfence                           # -
lfence                           # -
fxsave (%rax)                    # -
popcnt %eax, %ebx                # -
blsr %eax, %ebx                  # -
mulx %rax, %rbx, %rcx            # -
`

// TestHiddenFeatures holds what instruction sets are named against the assembler's encodings.
func TestHiddenFeatures(t *testing.T) {
	as, err := exec.LookPath("as")
	if err != nil {
		t.Skip("no assembler")
	}
	dir := t.TempDir()
	source, object, flat := filepath.Join(dir, "a.s"), filepath.Join(dir, "a.o"), filepath.Join(dir, "a.bin")
	if err := os.WriteFile(source, []byte(hiddenCode), 0o666); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(as, "--64", "-o", object, source).CombinedOutput(); err != nil {
		t.Skipf("an assembler that does not know them: %s", out)
	}
	if out, err := exec.Command("objcopy", "-O", "binary", "-j", ".text", object, flat).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	code, err := os.ReadFile(flat)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range regexp.MustCompile(`(?m)^(.*?)\s*# (\S+)$`).FindAllStringSubmatch(hiddenCode, -1) {
		in, ok := decode(code)
		if !ok {
			t.Fatalf("%s: % x is not decoded", line[1], code[:min(15, len(code))])
		}
		got, want := featureOf(in, code), line[2]
		if got == "" {
			got = "-"
		}
		if got != want {
			t.Errorf("%s (% x): %s, want %s", line[1], code[:in.len], got, want)
		}
		code = code[in.len:]
	}
	if len(code) != 0 {
		t.Errorf("% x is left", code)
	}
}

// TestLacking names what a processor lacks, and nothing that it has.
func TestLacking(t *testing.T) {
	zmm := []byte{0x62, 0xf1, 0x74, 0x48, 0x58, 0xc2} // vaddps
	none := &CPU{real: leafTable{}}
	if got := none.Lacking(zmm); got != "avx512f" {
		t.Errorf("%q, want avx512f", got)
	}
	if got := none.Lacking([]byte{0x90}); got != "" {
		t.Errorf("nop: %q", got)
	}
	if host := Host(); len(host.Missing([]string{"avx512f"})) == 0 && host.Lacking(zmm) != "" {
		t.Error("this processor has AVX-512")
	}
}
