package cpython

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// staticProgram has what tells a CPython, as far as it is looked for in files.
const staticProgram = `
unsigned long Py_Version = 0x030d05f0;
struct { char cookie[8]; long rest[100]; } _PyRuntime = {"xdebugpy", {1}};
int main(void) { return _PyRuntime.cookie[0] != 'x'; }
`

// TestStaticProgram finds the runtime in a program without dynamic symbols: by the table
// for debuggers, and where that was stripped, or not kept, by its cookie.
func TestStaticProgram(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc")
	}
	dir := t.TempDir()
	source, whole, bare := filepath.Join(dir, "p.c"), filepath.Join(dir, "python3.13"), filepath.Join(dir, "bare", "python3.13")
	if err := os.WriteFile(source, []byte(staticProgram), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Dir(bare), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-static", "-o", whole, source}, {"-static", "-s", "-o", bare, source}} {
		if out, err := exec.Command(gcc, args...).CombinedOutput(); err != nil {
			t.Skipf("no static C library: %s", out)
		}
	}
	if python, _ := WhichPython(whole); !python {
		t.Error("the program with symbols is no Python")
	}
	for path, want := range map[string]bool{whole: true, bare: false, "/usr/bin/python3": false} {
		f, err := os.Open(path)
		if err != nil {
			t.Log(err)
			continue
		}
		if LinkedStatically(f) != want {
			t.Errorf("%s is linked statically, with symbols: not %v", path, want)
		}
		f.Close()
	}
	addrs := map[string]uint64{}
	for _, path := range []string{whole, bare} {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		addr, v, err := FindRuntime(f, path)
		if err != nil || v.Minor != 13 {
			t.Fatalf("%s: %v, %v", path, v, err)
		}
		im, err := readELF(f)
		if err != nil {
			t.Fatal(err)
		}
		if b, ok := im.bytes(addr, 8); !ok || string(b) != debugCookie {
			t.Errorf("%s: at %#x is %q", path, addr, b)
		}
		addrs[path] = addr
	}
	if addrs[whole] != addrs[bare] {
		t.Errorf("by symbol at %#x, by cookie at %#x", addrs[whole], addrs[bare])
	}
}

// TestSortedFrames holds the table that is made of .eh_frame against the linker's.
func TestSortedFrames(t *testing.T) {
	for _, path := range []string{"/usr/bin/python3", "/lib/x86_64-linux-gnu/libc.so.6"} {
		f, err := os.Open(path)
		if err != nil {
			t.Log(err)
			continue
		}
		defer f.Close()
		im, err := readELF(f)
		if err != nil {
			t.Fatal(err)
		}
		linkers, made := im.functions(), im.sortedFrames()
		if linkers == nil || made == nil {
			t.Fatalf("%s: tables %v and %v", path, linkers != nil, made != nil)
		}
		if len(linkers.data) != len(made.data) {
			t.Errorf("%s: %d functions, the linker has %d", path, len(made.data)/8, len(linkers.data)/8)
		}
		for i := range len(linkers.data) / 8 {
			pc := linkers.field(2*i) + 1
			want, ok := linkers.function(pc)
			if got, found := made.function(pc); got != want || found != ok {
				t.Fatalf("%s: around %#x is %#x, %v, want %#x, %v", path, pc, got, found, want, ok)
			}
		}
	}
}
