//go:build linux && amd64

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestFreshLibrary records a program that calls a library which is as new as can be: as
// in CI, where packages are installed just before the tests. Its C frames have names and
// stand between those of Python, from the copy that the recording keeps: the library is
// gone by then.
func TestFreshLibrary(t *testing.T) {
	python := tracedPython(t)
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc")
	}
	const source = `
static int (*call)(void);
int through(int n) { volatile int left = n; return left ? through(left - 1) + 1 : call(); }
int start(int (*f)(void)) { call = f; return through(2) + 1; }
`
	const program = `
import ctypes, os, shutil, sys
if sys.argv[1] == "itself":
    shutil.copy("built.so", "fresh.so")
library = ctypes.CDLL("./fresh.so")
@ctypes.CFUNCTYPE(ctypes.c_int)
def asked():
    os.remove("fresh.so")
    return os.getppid() * 0 + 3
print(library.start(asked))
`
	want := regexp.MustCompile(`(?s)Py  asked .*C   through .*C   through .*C   through .*C   start .*Py  <module> `)
	for _, by := range []string{"itself", "another"} {
		t.Run(by, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{"lib.c": source, "app.py": program} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			built := map[string]string{"itself": "built.so", "another": "fresh.so"}[by]
			build := exec.Command(gcc, "-O1", "-fno-optimize-sibling-calls", "-shared", "-fPIC", "-o", built, "lib.c")
			build.Dir = dir
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			rec := filepath.Join(dir, "x.pyrr.zip")
			cmd := exec.Command(os.Args[0], "record", "-o", rec, "--", python, "-I", "app.py", by)
			cmd.Args[0], cmd.Dir = "pyrr", dir
			out, err := cmd.CombinedOutput()
			if err != nil || !regexp.MustCompile(`(?s)^6\n.*, verified\n`).Match(out) {
				t.Fatalf("record: %v\n%s", err, out)
			}
			status, text, errs := capturePyrr("bt", rec, "--at", "unlink")
			if status != 0 || errs != "" || !want.MatchString(text) {
				t.Errorf("bt: status %d, no match for %s in\n%s%s", status, want, text, errs)
			}
		})
	}
}
