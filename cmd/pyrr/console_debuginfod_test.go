//go:build linux && amd64

package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestConsoleDebuginfod holds that servers of debug files are asked where --debuginfod
// is given, and never else.
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
		t.Errorf("a server was asked %d times by itself", n)
	}
	if !strings.Contains(out, "Yes (*)") {
		t.Skipf("all files have their debug information here:\n%s", out)
	}
	list("--debuginfod")
	if asked.Load() == 0 {
		t.Errorf("no server was asked\n%s", out)
	}
}
