//go:build linux && amd64

package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"pyrr/internal/probe"
)

// TestConsoleDebuginfod: servers of debug files are asked where --debuginfod is given, and
// never otherwise.
func TestConsoleDebuginfod(t *testing.T) {
	rec := recordText(t, "import zlib, ctypes")
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/buildid/") && strings.HasSuffix(r.URL.Path, "/debuginfo") {
			asked.Add(1)
		}
		http.NotFound(w, r)
	}))
	defer server.Close()
	t.Setenv("DEBUGINFOD_URLS", server.URL)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	list := func(flags ...string) string {
		t.Helper()
		status, out, errs := capturePyrr(append(append([]string{"replay"}, flags...), "-ex", "goto end", "-ex", "info sharedlibrary", "-ex", "quit", rec)...)
		if status != 0 {
			t.Fatalf("status %d\n%s", status, errs)
		}
		return out
	}
	out := list()
	if n := asked.Load(); n != 0 {
		t.Errorf("a server was asked %d times without --debuginfod", n)
	}
	if !strings.Contains(out, "Yes (*)") {
		t.Skipf("all files have their debug information here:\n%s", out)
	}
	list("--debuginfod")
	if asked.Load() == 0 {
		t.Errorf("no server was asked\n%s", out)
	}
}

// TestConsoleDebuginfodServes holds that a debug file which a server has gives a stripped
// library its arguments, lines and variables, fetched once, and that a wrong one gives none.
func TestConsoleDebuginfodServes(t *testing.T) {
	probe.Require(t)
	python := testPython()
	objcopy, err := exec.LookPath("objcopy")
	if python == "" || err != nil {
		t.Skip("there is no Python, or no objcopy: apt-get install binutils")
	}
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("there is no gcc")
	}
	dir := t.TempDir()
	lib, debug := filepath.Join(dir, "lib.so"), filepath.Join(dir, "lib.debug")
	for _, args := range [][]string{
		{gcc, "-shared", "-fPIC", "-g", "-O1", "-Wl,--build-id", "-o", lib, "testdata/clang/lib.c"},
		{objcopy, "--only-keep-debug", lib, debug}, {objcopy, "--strip-all", lib},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	served, err := os.ReadFile(debug)
	if err != nil {
		t.Fatal(err)
	}
	rec := filepath.Join(dir, "x.pyrr.zip")
	if status, _, errs := capturePyrr("record", "-o", rec, "--", python, "-c", "import ctypes; ctypes.CDLL("+pythonString(lib)+").outer(4)"); status != 0 {
		t.Fatalf("record: status %d\n%s", status, errs)
	}
	if err := os.Remove(debug); err != nil { // it would be found beside the library
		t.Fatal(err)
	}
	var given atomic.Int32
	wrong := atomic.Bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/buildid/"), "/debuginfo")
		own, err := hex.DecodeString(id)
		switch {
		case err == nil && wrong.Load():
			fmt.Fprint(w, "\x7fELF no such file")
		case err == nil && len(own) > 0 && bytes.Contains(served, own):
			given.Add(1)
			_, _ = w.Write(served)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	t.Setenv("DEBUGINFOD_URLS", server.URL)
	ask := func(cache string, flags ...string) string {
		t.Helper()
		t.Setenv("XDG_CACHE_HOME", cache)
		status, out, errs := capturePyrr(append(append([]string{"replay"}, flags...), "-ex", "break write", "-ex", "continue", "-ex", "bt 4", "-ex", "quit", rec)...)
		if status != 0 {
			t.Fatalf("status %d\n%s", status, errs)
		}
		return out
	}
	const line = "clang/lib.c:"
	cache := t.TempDir()
	if out := ask(cache); strings.Contains(out, line) {
		t.Fatalf("the stripped library still has lines:\n%s", out)
	}
	for range 2 {
		out := ask(cache, "--debuginfod")
		for _, want := range []string{"held (n=", "why=", "outer (k=4)", line} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
	}
	if n := given.Load(); n != 1 {
		t.Errorf("the file was fetched %d times", n)
	}
	wrong.Store(true)
	if out := ask(t.TempDir(), "--debuginfod"); strings.Contains(out, line) {
		t.Errorf("a debug file of something else gives the library lines:\n%s", out)
	}
}
