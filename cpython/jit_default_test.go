package cpython

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// asksForJIT is what init_interp_main does of 3.13 (a call) and of 3.14 (a store), each with
// DEFAULT for an environment that says nothing.
const asksForJIT = `
#include <stdlib.h>
#include <stdio.h>
struct interp { long rest[5]; char jit; } *interp;
__attribute__((noinline)) void *optimizer(void) { return getenv("HOME"); }
__attribute__((noinline)) int asks(int main) {
    if (main) {
        int enabled = DEFAULT;
        char *env = getenv("PYTHON_JIT");
        if (env && *env != '\0') enabled = *env != '0';
        if (enabled) {
#ifdef STORES
            interp->jit = 1;
#else
            if (!optimizer()) return 1;
#endif
        }
    }
    return puts("0") + puts("there");
}
int main(int argc, char **argv) { interp = calloc(1, sizeof *interp); return asks(argc); }
`

// TestJITAnswers holds that an interpreter whose JIT is on by itself is told from one of which it
// is not by its code alone, and that the code that is put there is an answer.
func TestJITAnswers(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil || runtime.GOARCH != "amd64" {
		t.Skip("no gcc for x86-64")
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "p.c")
	if err := os.WriteFile(source, []byte(asksForJIT), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, pie := range []string{"-pie -fPIE", "-no-pie"} {
		for _, how := range []string{"-O1", "-O2", "-O3", "-O2 -DSTORES", "-Os -DSTORES"} {
			for on := range 2 {
				name := fmt.Sprintf("%s %s, %d", pie, how, on)
				program := filepath.Join(dir, "p")
				if out, err := exec.Command("sh", "-c", fmt.Sprintf("%s %s -DDEFAULT=%d %s -o %s %s", gcc, pie, on, how, program, source)).CombinedOutput(); err != nil {
					t.Fatalf("%s: %s", name, out)
				}
				checkAnswers(t, name, program, on == 1)
			}
		}
	}
}

func checkAnswers(t *testing.T, name, program string, on bool) {
	t.Helper()
	f, err := os.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	im, err := readELF(f)
	if err != nil {
		t.Fatal(err)
	}
	answers := im.jitAnswers()
	if !on || len(answers) != 1 {
		if on || answers != nil {
			t.Errorf("%s: %x", name, answers)
		}
		return
	}
	// What is put there loads the address of "0", and nothing else is left of the call.
	s := im.segmentAt(answers[0].Addr, uint64(len(answers[0].Code)))
	copy(s.data[answers[0].Addr-s.vaddr:], answers[0].Code)
	in, _ := im.decode(answers[0].Addr)
	zero, ok := im.cstring(askedOf(answers[0].Code[in.Len-4:], answers[0].Addr+uint64(in.Len), in.Len), 2)
	if !ok || zero != "0" {
		t.Errorf("%s: %x answers %q", name, answers, zero)
	}
	if again := im.jitAnswers(); again != nil {
		t.Errorf("%s: it still asks: %x", name, again)
	}
}
