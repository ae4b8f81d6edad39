package inject

import (
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pauseSource has a loop of each kind.
const pauseSource = `
	.macro function name
	.globl \name
	.type \name, @function
\name:	.cfi_startproc
	.endm
	.macro done name
	.cfi_endproc
	.size \name, . - \name
	.endm
	.text
	function jump
1:	pause
	cmpl $0, word(%rip)
	je 1b
	ret
	done jump
	function nops
1:	.rept 8
	nop
	.endr
	cmpl $0, (%rdi)
	je 1b
	ret
	done nops
	function short
	test %edi, %edi
	jmp 2f
1:	pause
2:	cmpl $0, (%rdi)
	je 1b
	ret
	done short
	.byte 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc
	function trap
	jmp 2f
1:	pause
2:	cmpl $0, (%rdi)
	je 1b
	call jump
	done trap
	function data
	mov $0x90f390f3, %eax
	ret
	done data
	.data
	.hidden word
word:	.long 0
`

// TestPausesOfAFile compares the sites that are found in compiled code with
// what its source says.
func TestPausesOfAFile(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc")
	}
	dir := t.TempDir()
	source, file := filepath.Join(dir, "x.s"), filepath.Join(dir, "x.so")
	if err := os.WriteFile(source, []byte(pauseSource), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := exec.Command(gcc, "-shared", "-nostdlib", "-o", file, source).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, b)
	}
	sites, err := Pauses(file)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range sites {
		line := []string{"jump ", "short ", "trap "}[s.How] + hex.EncodeToString(s.Orig[:2])
		if s.How == PauseShort {
			line += " " + strings.Repeat("+", int(s.Pad-s.Vaddr)) // how far the padding is
		}
		got = append(got, line)
	}
	want := []string{"jump f390", "jump 9090", "short f390 ++++++++", "trap f390"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("found %q, want %q", got, want)
	}

	movedPause(t, sites)

	// The cache gives back what was found.
	var lines []string
	for _, s := range sites {
		lines = append(lines, encodePause(s))
	}
	again, ok := decodePauses(lines)
	if !ok || len(again) != len(sites) {
		t.Errorf("from the cache: %v, %v", again, ok)
	}
	if _, ok := decodePauses([]string{"0 0 e9e9e9e9e9 0 0"}); ok {
		t.Error("bytes that are no pause are taken from the cache")
	}
}

// movedPause holds that a moved instruction that is relative to the next refers to the same place.
func movedPause(t *testing.T, sites []PauseSite) {
	t.Helper()
	const bias, base = 0x7f0000000000, 0x7f0000100000
	img, err := BuildPauses(base, bias, 0x700000002028, sites)
	if err != nil {
		t.Fatal(err)
	}
	if len(img.Traps) != 1 || len(img.Writes) != 1+1+1+2 {
		t.Errorf("%d traps, %d writes", len(img.Traps), len(img.Writes))
	}
	stub := img.Writes[0].Data[:pauseStubSize]
	moved, ok := decode(stub[pauseBody:])
	first, _ := decode(sites[0].Orig[2:])
	if !ok || moved.len != first.len {
		t.Fatalf("the stub goes on with % x", stub[pauseBody:])
	}
	target := func(in insn, code []byte, at uint64) uint64 {
		var disp int32
		for i := range 4 {
			disp |= int32(code[in.at+1+i]) << (8 * i)
		}
		return at + uint64(in.len) + uint64(int64(disp))
	}
	if was, is := target(first, sites[0].Orig[2:], bias+sites[0].Vaddr+2), target(moved, stub[pauseBody:], base+pauseBody); was != is {
		t.Errorf("the moved instruction refers to %#x instead of %#x", is, was)
	}
}

// Pauses finds the sites of a file by its path.
func Pauses(path string) ([]PauseSite, error) { return sitesIn(path, pausesOf) }
