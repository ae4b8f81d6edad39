//go:build linux && amd64

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// approxLibrary has approximate instructions, one function for each.
const approxLibrary = `
float rcp(float x) { __asm__ ("rcpss %0, %0" : "+x"(x)); return x; }
float rsqrt(float x) { __asm__ ("rsqrtps %0, %0" : "+x"(x)); return x; }
float vrcp(float x) { __asm__ ("vrcpps %0, %0" : "+x"(x)); return x; }
double sine(double x) { __asm__ ("fsin" : "+t"(x)); return x; }
double angle(double x) { __asm__ ("fld1; fpatan" : "+t"(x)); return x; }
`

const approxProgram = `
import ctypes, os, sys
lib = ctypes.CDLL(sys.argv[1])
lib.rcp.restype = lib.vrcp.restype = ctypes.c_float
lib.sine.restype = ctypes.c_double
for i in range(3):
    lib.rcp(ctypes.c_float(3))
if os.fork() == 0:
    for i in range(3):
        lib.vrcp(ctypes.c_float(3))
        lib.sine(ctypes.c_double(3))
    os._exit(0)
os.wait()
`

// TestApproximate holds that info names the approximate instructions that ran, in
// whichever process, and no others of the same library.
func TestApproximate(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc")
	}
	dir := t.TempDir()
	source, program, lib := filepath.Join(dir, "a.c"), filepath.Join(dir, "a.py"), filepath.Join(dir, "liba.so")
	for name, text := range map[string]string{source: approxLibrary, program: approxProgram} {
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(gcc, "-O1", "-shared", "-fPIC", "-o", lib, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out := filepath.Join(dir, "x.pyrr.zip")
	if _, _, errs := capturePyrr("record", "-o", out, "--", "python3", program, lib); !strings.Contains(errs, ", verified\n") {
		t.Fatal(errs)
	}
	_, text, _ := capturePyrr("info", "--json", out)
	var info struct {
		Approx []struct {
			File         string
			Instructions []string
		} `json:"cpu_approximate"`
	}
	if err := json.Unmarshal([]byte(text), &info); err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, a := range info.Approx {
		got[a.File] = a.Instructions
	}
	if diff := cmp.Diff(map[string][]string{lib: {"fsin", "rcpss", "vrcpps"}}, got); diff != "" {
		t.Errorf("what ran (-want +got):\n%s", diff)
	}
	if _, text, _ := capturePyrr("info", out); !strings.Contains(text, "\napproximate   fsin, rcpss, vrcpps in "+lib+": another maker's processor may give other last bits\n") {
		t.Error(text)
	}
	out = filepath.Join(dir, "none.pyrr.zip")
	if _, _, errs := capturePyrr("record", "-o", out, "--", "python3", "-c", "import math; math.sin(1)"); !strings.Contains(errs, ", verified\n") {
		t.Fatal(errs)
	}
	if _, text, _ := capturePyrr("info", out); strings.Contains(text, "approximate") {
		t.Error(text)
	}
}
