//go:build linux && amd64

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pyrr/internal/recording"
)

// nativeProgram has memory of C that C code changes: ctypes changes a library's variable and
// a field of its struct; bytearray, array and the kernel change buffers.
const nativeProgram = `import ctypes, array, os, sys
lib = ctypes.CDLL(LIB)
number = ctypes.c_int.in_dll(lib, "counter")
class Pair(ctypes.Structure):
    _fields_ = [("left", ctypes.c_int), ("right", ctypes.c_int)]
pair = Pair.in_dll(lib, "table")
raw = bytearray(b"01234567")
nums = array.array("q", [1, 2, 3])
where = ctypes.addressof((ctypes.c_char * 8).from_buffer(raw))
item = nums.buffer_info()[0] + 8
def change(n):
    number.value = n
    pair.right = n * 2
    raw[3] = 65 + n
    nums[1] = n * 100
for i in range(3):
    change(i)
lib.outer(4)
r, w = os.pipe()
os.write(w, b"KERNELWR")
os.readv(r, [raw])
lib.outer(5)
done = True
`

// TestAskC asks about things of C: in the expressions of print, as the place of a print,
// and who changed them.
func TestAskC(t *testing.T) {
	t.Parallel()
	python := tracedPython(t)
	lib, err := os.ReadFile("testdata/clang/lib.so")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	so, file, rec := filepath.Join(dir, "lib.so"), filepath.Join(dir, "app.py"), filepath.Join(dir, "x"+recording.PackedSuffix)
	if err := os.WriteFile(so, lib, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(nativeProgram, "LIB", pythonString(so), 1)), 0o666); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := capturePyrr("record", "-o", rec, "--", python, file); status != 0 {
		t.Fatalf("record: status %d\n%s", status, errs)
	}
	ask := func(args ...string) string {
		t.Helper()
		status, out, errs := capturePyrr(args...)
		if status != 0 {
			t.Errorf("%v: status %d\n%s", args, status, errs)
		}
		return out
	}
	want := func(out string, patterns ...string) {
		t.Helper()
		for _, p := range patterns {
			if !regexp.MustCompile(p).MatchString(out) {
				t.Errorf("no match for %s in\n%s", p, out)
			}
		}
	}
	end := ask("print", rec, "app.py:23", "where, item")
	m := regexp.MustCompile(`^ +([\d,]+) .* where = (\d+), item = (\d+)`).FindStringSubmatch(end)
	if m == nil {
		t.Fatalf("%s", end)
	}
	at, where, item := "--at="+m[1], "*"+m[2]+" 8", "*"+m[3]+" 8"

	want(ask("print", rec, "c:held"), `app.py:18 +call held\(n=n@entry=7, m=m@entry=8, why=0x\w+ "waits", p=0x\w+ <table>\)\n`, `app.py:22 +call held\(n=n@entry=8, `)
	out := ask("print", rec, "c:held", `n, p->name, *p, counter, m * 2, item`, "--if", "p->left == 3")
	want(out, `n = 8, p->name = 0x\w+ "two", \*p = \{left = 3, right = 4, name = 0x\w+ "two", color = BLUE\}, counter = 2, m \* 2 = 20, item = \d+\n$`)
	if strings.Count(out, "\n") != 1 {
		t.Errorf("the condition holds once, not\n%s", out)
	}
	// At a system call, one goes outward through the frames of C; in Python code, variables of
	// C are looked up after Python's own.
	want(ask("print", rec, "syscall write", "m, table[0].right, i"), `app.py:18 +write\(1, "wn held", 7\) = 7: m = 8, table\[0\].right = 4, i = 2\n`)
	want(ask("print", rec, "app.py:12", "n, counter, counter == 1"), `(?s)n = 0, counter = 41, .*n = 1, counter = 0, counter == 1 = 0\n.*n = 2, counter = 1, counter == 1 = 1\n$`)

	want(ask("last", rec, at, "counter", "--history", "--most", "3"), `(?s)app.py:12 +counter was 1, becomes 2\n.*change +\S*app.py:12 +number.value = n\n.*counter was 0, becomes 1\n.*counter was 41, becomes 0\n`)
	want(ask("last", rec, at, "table[0].right"), `app.py:13 +table\[0\].right was 2, becomes 4\n`)
	want(ask("last", rec, at, "*counter 4"), `app.py:12 +\*counter 4 was 0x1, becomes 0x2\n`)
	want(ask("last", rec, at, item, "--history", "--most", "2"), `(?s)app.py:15 .* was 0x64, becomes 0xc8\n.*app.py:15 .* was 0x0, becomes 0x64\n`)
	want(ask("last", rec, at, where, "--history", "--most", "2"), `(?s)app.py:21 .* was 0x3736353443323130, becomes 0x52574c454e52454b\n.*app.py:14 .* was 0x3736353442323130, becomes 0x3736353443323130\n`)
	for _, wrong := range []string{"p->left", "table[0]", "*nosuch"} {
		if status, _, errs := capturePyrr("last", rec, at, wrong); status != 2 && status != 3 || errs == "" {
			t.Errorf("last %s: status %d, %s", wrong, status, errs)
		}
	}
}
