//go:build amd64

package inject

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// TestPatchedPrograms runs programs whose sites are all trapped and
// answered; what they print must be what they print without.
func TestPatchedPrograms(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	py := python(t)
	for _, tt := range []struct {
		name string
		code string
		want []Insn
	}{
		{"start", "print(1 + 1)", []Insn{Cpuid, Rdtsc, Xgetbv}},
		{"ssl", `
import ssl, hashlib, hmac
data = b"pyrr" * 100000
for name in sorted(hashlib.algorithms_guaranteed):
    h = hashlib.new(name, data)
    print(name, h.hexdigest(16) if name.startswith("shake") else h.hexdigest())
print(hashlib.pbkdf2_hmac("sha256", b"a", b"b", 1000).hex())
print(len(ssl.RAND_bytes(32)), ssl.create_default_context().verify_mode)`, []Insn{Cpuid, Rdtsc}},
		{"modules", `
import ctypes, sqlite3, zlib, bz2, lzma, json, re, decimal, array, struct, random
print(zlib.crc32(b"x" * 100001), sqlite3.connect(":memory:").execute("select upper('abc'), 0.1 + 0.2").fetchall())
print(decimal.Decimal(2).sqrt(), random.Random(1).random(), ctypes.CDLL(None).strlen(b"abcdef" * 1000))
print(json.dumps([i / 7 for i in range(50)]), "x" in ("a" * 100000 + "x"))`, []Insn{Cpuid}},
		{"c++", `
import ctypes
ctypes.CDLL("libstdc++.so.6")
print("ok")`, []Insn{Cpuid}},
		{"numpy", `
import numpy
print(numpy.arange(1000.0).reshape(10, 100).dot(numpy.ones(100)))`, []Insn{Cpuid}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want, err := exec.Command(py, "-c", tt.code).CombinedOutput()
			if err != nil {
				t.Skipf("fails without pyrr, too: %s", want)
			}
			for _, options := range []Options{{}, {AVX512: true}} {
				p := start(t, py, "-c", tt.code)
				p.patch, p.cpu = true, Host().With(options)
				p.placeArea(false)
				p.run()
				if got := p.output(); got != string(want) {
					t.Errorf("%+v: got %q, want %q", options, got, want)
				}
				for _, i := range tt.want {
					if p.emul[i] == 0 {
						t.Errorf("%+v: no %v was answered, only %v", options, i, p.emul)
					}
				}
			}
		})
	}
}

// diagnostics lets ld.so print what it found out about the processor.
func diagnostics(t *testing.T, cpu *CPU) map[string]string {
	t.Helper()
	ld := firstFile(systemFiles[0].globs)
	if ld == "" {
		t.Skip("no ld.so here")
	}
	if err := exec.Command(ld, "--list-diagnostics").Run(); err != nil {
		t.Skip("this ld.so has no --list-diagnostics")
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	p := start(t, ld, "--list-diagnostics")
	p.patch, p.cpu = true, cpu
	p.run()
	got := map[string]string{}
	for _, line := range strings.Split(p.output(), "\n") {
		if k, v, ok := strings.Cut(line, "="); ok {
			got[k] = v
		}
	}
	return got
}

// TestLdSo looks at what ld.so makes of the answers: on this processor, and
// on one of another vendor with everything that is hidden.
func TestLdSo(t *testing.T) {
	if len(Host().Missing([]string{"avx2", "bmi2", "fma", "movbe"})) > 0 {
		t.Skip("this processor is below x86-64-v3")
	}
	for _, tt := range []struct {
		name string
		cpu  *CPU
		want map[string]string
	}{
		{"host", Host(), map[string]string{
			"isa_1":                     "0x7", // x86-64-v1 to v3
			"features[0x1].active[0x2]": "0x0", // leaf 7 ECX
			"features[0x3].active[0x0]": "0x0", // leaf 13, sub-leaf 1: no XSAVEC
		}},
		{"Sapphire Rapids", newCPU(sapphireRapids, sapphireRapidsXCR0, Options{}), map[string]string{
			"basic.kind":                "0x1", // Intel
			"basic.family":              "0x6",
			"basic.model":               "0x8f",
			"basic.max_cpuid":           "0x1f",
			"isa_1":                     "0x7",
			"level1_dcache_size":        "0xc000",
			"level3_cache_size":         "0x6900000",
			"xsave_state_size":          "0x2b40", // leaf 13 and the registers, 64 byte aligned
			"features[0x0].cpuid[0x1]":  "0x800800",
			"features[0x0].active[0x2]": "0x3ed83203",
			"features[0x1].active[0x1]": "0x328", // BMI1, AVX2, BMI2, ERMS
			"features[0x1].active[0x2]": "0x0",
			"features[0x1].active[0x3]": "0x10", // FSRM
			"features[0x3].active[0x0]": "0x0",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := diagnostics(t, tt.cpu)
			for k, want := range tt.want {
				if v := got["x86.cpu_features."+k]; v != want {
					t.Errorf("%s = %s, want %s", k, v, want)
				}
			}
			// Not 0, or lazy binding would lose the upper halves of the
			// argument registers.
			var size int
			if _, err := fmt.Sscanf(got["x86.cpu_features.xsave_state_size"], "0x%x", &size); err != nil || size < xsaveRoom {
				t.Errorf("xsave_state_size = %#x, want at least %#x", size, xsaveRoom)
			}
		})
	}
}

// TestLazyBinding calls through ld.so's trampoline, which saves the vector
// registers with XSAVE into an area sized by the masked answers.
func TestLazyBinding(t *testing.T) {
	if len(Host().Missing([]string{"avx2"})) > 0 {
		t.Skip("this processor has no AVX2")
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	bin := compile(t, "lazy", "-mavx2", "-Wl,-z,lazy", "-lm")
	for _, options := range []Options{{}, {AVX512: true}} {
		p := start(t, bin)
		p.patch, p.cpu = true, Host().With(options)
		p.run()
		if got := p.output(); got != "ok\n" {
			t.Errorf("%+v: %q", options, got)
		}
		if p.emul[Cpuid] == 0 {
			t.Error("no cpuid was answered")
		}
	}
}

// TestEveryInstruction executes each kind of site in one program.
func TestEveryInstruction(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	bin := compile(t, "insns")
	p := start(t, bin)
	p.patch = true
	p.run()
	if got := p.output(); got != "ok\n" {
		t.Errorf("got %q", got)
	}
	for insn := Rdtsc; insn <= Xgetbv; insn++ {
		if p.emul[insn] == 0 {
			t.Errorf("no %v was answered", insn)
		}
	}
}
