package inject

import (
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"pyrr/internal/linux"
)

// lslProgram prints what the limit of each segment is, and whether there is one, for
// registers of 64 and of 16 bits.
const lslProgram = `
#include <stdio.h>
int main(void) {
    for (unsigned long s = 0; s < 0x10000; s++) {
        unsigned long wide = 0x1111111122222222, narrow = wide;
        unsigned char zw, zn;
        __asm__ volatile("lsl %2, %0; setz %1" : "+r"(wide), "=q"(zw) : "r"(s) : "cc");
        __asm__ volatile("lsl %w2, %w0; setz %1" : "+r"(narrow), "=q"(zn) : "r"(s) : "cc");
        printf("%lx %d %lx %d\n", wide, zw, narrow, zn);
    }
}
`

// TestSegmentLimits holds the emulated lsl against this machine's, for every selector. Only
// in the segment that holds the number of the processor it is 0, whatever is there.
func TestSegmentLimits(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil || runtime.GOARCH != "amd64" {
		t.Skip("no gcc for x86-64")
	}
	dir := t.TempDir()
	source, program := filepath.Join(dir, "lsl.c"), filepath.Join(dir, "lsl")
	if err := os.WriteFile(source, []byte(lslProgram), 0o666); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(gcc, "-O1", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	there := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(there) != 0x10000 {
		t.Fatalf("%d lines", len(there))
	}
	emulate := func(code []byte, selector uint64) (uint64, int) {
		in, ok := decode(code)
		site, isSite := siteOf(in, code)
		if !ok || !isSite || site.Insn != Lsl {
			t.Fatalf("% x is %+v", code, site)
		}
		r := &linux.Regs{R9: selector, R14: 0x1111111122222222}
		Emulate(site, nil, nil, r)
		return r.R14, int(r.Eflags / flagZF & 1)
	}
	wide, narrow := []byte{0x4d, 0x0f, 0x03, 0xf1}, []byte{0x66, 0x45, 0x0f, 0x03, 0xf1} // lsl r14, r9; r14w, r9w
	for selector := range uint64(0x10000) {
		w, zw := emulate(wide, selector)
		n, zn := emulate(narrow, selector)
		got := fmt.Sprintf("%x %d %x %d", w, zw, n, zn)
		if selector>>2 == 0x78>>2 {
			if got != "0 1 1111111122220000 1" {
				t.Errorf("the number of the processor is %s", got)
			}
		} else if got != there[selector] {
			t.Errorf("selector %#x: got %s, this machine's is %s", selector, got, there[selector])
		}
	}
}

// TestSegmentLimitSites holds which forms of lsl are answered.
func TestSegmentLimitSites(t *testing.T) {
	for code, want := range map[string]string{
		"0f03c0":   "lsl 0 4", // lsl eax, eax
		"440f03c0": "lsl 8 4", // lsl r8d, eax
		"490f03c8": "lsl 1 8", // lsl rcx, r8
		"0f0300":   "",        // from memory
		"0f02c0":   "",        // lar
		"f00f03c0": "",        // with lock it is none
	} {
		b, _ := hex.DecodeString(code)
		in, ok := decode(b)
		got := ""
		if s, isSite := siteOf(in, b); ok && isSite {
			got = fmt.Sprintf("%v %d %d", s.Insn, s.Reg, s.Size)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", code, got, want)
		}
	}
}
