//go:build linux && amd64

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// vsyscallLibrary calls the kernel's vsyscall page as old C libraries do, by constants in
// code, and by an address that it is given.
const vsyscallLibrary = `
#include <sys/time.h>
#include <time.h>
long by_call(void) { struct timeval tv; ((int (*)(struct timeval *, void *))0xffffffffff600000)(&tv, 0); return tv.tv_sec; }
long by_jump(void) { return ((time_t (*)(time_t *))0xffffffffff600400)(0); }
long cpu(void) { unsigned c = 77, n = 77; ((int (*)(unsigned *, unsigned *, void *))0xffffffffff600800)(&c, &n, 0); return c; }
long number(void) { return -10485760; }
long by_pointer(long at) { return ((time_t (*)(time_t *))at)(0); }
`

const vsyscallProgram = `
import ctypes, mmap, sys, time
lib = ctypes.CDLL(sys.argv[1])
sys.stdout = open(sys.argv[2], "w")
def call(f, *args):
    f.restype = ctypes.c_long
    return f(*args)
def now(seconds):
    return abs(seconds - time.time()) < 5
print(now(call(lib.by_call)), now(call(lib.by_jump)), call(lib.cpu) < 77, call(lib.number))
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex("31ff48c7c0000460ffffe0"))  # xor edi, edi; mov rax, time; jmp rax
at = ctypes.addressof(ctypes.c_char.from_buffer(code))
print(now(ctypes.CFUNCTYPE(ctypes.c_long)(at)()))
if len(sys.argv) > 3:
    print(now(call(lib.by_pointer, ctypes.c_long(-10485760 + 1024))))
`

// TestVsyscall records what calls the kernel's vsyscall page, which no tracer is told of:
// by constants in code it is recorded, by a computed address the replay says so by name.
func TestVsyscall(t *testing.T) {
	maps, _ := os.ReadFile("/proc/self/maps")
	if !strings.Contains(string(maps), "[vsyscall]") {
		t.Skip("this kernel has no vsyscall page")
	}
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc")
	}
	dir := t.TempDir()
	source, program := filepath.Join(dir, "vs.c"), filepath.Join(dir, "vs.py")
	for name, text := range map[string]string{source: vsyscallLibrary, program: vsyscallProgram} {
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	text := filepath.Join(dir, "said.txt")
	const want = "True True True -10485760\nTrue\n"
	for _, level := range []string{"-O0", "-O2"} {
		lib, out := filepath.Join(dir, "vs"+level+".so"), filepath.Join(dir, "x"+level+".pyrr.zip")
		if out, err := exec.Command(gcc, level, "-shared", "-fPIC", "-o", lib, source).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if _, _, errs := capturePyrr("record", "-o", out, "--", "python3", program, lib, text); readText(t, text) != want || !strings.Contains(errs, ", verified\n") {
			t.Errorf("%s: %q\n%s", level, readText(t, text), errs)
		}
		_, events, _ := capturePyrr("events", out)
		for _, call := range []string{"vsyscall", "gettimeofday(", "time(NULL)", "getcpu("} {
			if !strings.Contains(events, call) {
				t.Errorf("%s: no %s among the events", level, call)
			}
		}
		out = filepath.Join(dir, "computed"+level+".pyrr.zip")
		const named = "there it calls the kernel's vsyscall page (time, from 0x"
		if _, _, errs := capturePyrr("record", "-o", out, "--", "python3", program, lib, text, "computed"); readText(t, text) != want+"True\n" ||
			!strings.Contains(errs, "the recording can't be replayed to its end: process 1 was exact up to event ") || !strings.Contains(errs, named) || !strings.Contains(errs, ", not verified\n") {
			t.Errorf("%s, computed: %q\n%s", level, readText(t, text), errs)
		}
		if status, _, errs := capturePyrr("replay", "--batch", out); status != 3 || !strings.Contains(errs, named) {
			t.Errorf("%s, computed, replay: status %d\n%s", level, status, errs)
		}
	}
}

func readText(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}
