package unwind_test

import (
	"bytes"
	"debug/elf"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pyrr/internal/unwind"
	"pyrr/internal/unwind/gdbtest"
)

// compile builds testdata/frames.c.
func compile(t *testing.T, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "frames")
	args := append([]string{"-g", "-O2", "-o", out, "testdata/frames.c"}, flags...)
	run(t, "cc", append(args, "-lm")...)
	return out
}

// run executes a tool, or skips the test where there is none.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("no %s", name)
	}
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// TestFramesEqualGDB compares stacks that Python seldom has: of signal
// handlers, on other stacks, in the vDSO, by .debug_frame.
func TestFramesEqualGDB(t *testing.T) {
	n, full := 12, os.Getenv("PYRR_E2E") == "full"
	if full {
		n = 300
	}
	tests := []struct {
		name  string
		flags []string
	}{
		{"lazy binding", []string{"-Wl,-z,lazy"}},
		{"debug_frame", []string{"-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-no-pie"}},
		{"DWARF 4, frame pointers", []string{"-gdwarf-4", "-fno-omit-frame-pointer", "-O1"}},
		{"no optimisation", []string{"-O0"}},
	}
	if !full {
		tests = tests[:2]
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := &unwind.Files{Find: &unwind.Finder{DebugDirs: []string{unwind.SystemDebugDir}}}
			var c gdbtest.Comparison
			gdbtest.EachStop(t, n, []string{compile(t, tt.flags...)}, func(s *gdbtest.Stop) { c.Live(t, files, s) })
			c.Report(t)
		})
	}
}

// image opens a file as an image.
func image(t *testing.T, path string, find *unwind.Finder) *unwind.File {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	im, err := unwind.NewFile(path, bytes.NewReader(b), int64(len(b)), find)
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// staticName is a function that only .symtab has.
const staticName = "compare"

// staticFunction returns its link address.
func staticFunction(t *testing.T, path string) uint64 {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	syms, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range syms {
		if s.Name == staticName {
			return s.Value
		}
	}
	t.Fatalf("no function %s", staticName)
	return 0
}

// TestNamesFromElsewhere strips a program, and finds the names of its static
// functions in each place that they may be kept.
func TestNamesFromElsewhere(t *testing.T) {
	whole := compile(t, "-Wl,--build-id")
	addr := staticFunction(t, whole)
	id := image(t, whole, nil).BuildID()
	if len(id) < 16 {
		t.Fatalf("build ID %q", id)
	}
	dir := t.TempDir()
	debug := filepath.Join(dir, "frames.debug")
	run(t, "objcopy", "--only-keep-debug", whole, debug)
	named := func(path string, find *unwind.Finder) string {
		name, start, _ := image(t, path, find).Symbol(addr + 1)
		if name != "" && start != addr {
			t.Errorf("%s begins at %#x, not %#x", name, start, addr)
		}
		return name
	}
	strip := func(name string, args ...string) string {
		out := filepath.Join(dir, name)
		run(t, "objcopy", append(append([]string{"--strip-all"}, args...), whole, out)...)
		return out
	}
	stripped := strip("stripped")
	if name := named(stripped, nil); name != "" {
		t.Fatalf("the stripped file names it %q", name)
	}

	t.Run("build ID", func(t *testing.T) {
		tree := t.TempDir()
		copyTo(t, debug, filepath.Join(tree, ".build-id", id[:2], id[2:]+".debug"))
		if name := named(stripped, &unwind.Finder{DebugDirs: []string{tree}}); name != staticName {
			t.Errorf("named %q", name)
		}
	})
	t.Run("build ID of another", func(t *testing.T) {
		tree := t.TempDir()
		other := filepath.Join(t.TempDir(), "other.debug")
		run(t, "objcopy", "--only-keep-debug", compile(t, "-O1", "-Wl,--build-id"), other)
		copyTo(t, other, filepath.Join(tree, ".build-id", id[:2], id[2:]+".debug"))
		if name := named(stripped, &unwind.Finder{DebugDirs: []string{tree}}); name != "" {
			t.Errorf("a debug file of another program names it %q", name)
		}
	})
	t.Run("debuglink", func(t *testing.T) {
		linked := strip("linked", "--add-gnu-debuglink="+debug, "--remove-section=.note.gnu.build-id")
		if name := named(linked, &unwind.Finder{}); name != staticName {
			t.Errorf("named %q", name)
		}
		b, err := os.ReadFile(debug)
		if err == nil {
			err = os.WriteFile(debug, append(b, 0), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if name := named(linked, &unwind.Finder{}); name != "" {
			t.Errorf("a changed debug file names it %q", name)
		}
		if err := os.WriteFile(debug, b, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("gnu_debugdata", func(t *testing.T) {
		mini := filepath.Join(dir, "mini")
		run(t, "objcopy", "--strip-debug", "--remove-section=.comment", debug, mini)
		run(t, "xz", "--force", "--keep", mini)
		if name := named(strip("with-mini", "--add-section=.gnu_debugdata="+mini+".xz"), nil); name != staticName {
			t.Errorf("named %q", name)
		}
	})
	fromOriginal(t, whole, addr)
	fromServer(t, debug, named, stripped, id)
}

// fromServer takes names from a server, where that is wanted.
func fromServer(t *testing.T, debug string, named func(path string, find *unwind.Finder) string, stripped string, id string) {
	t.Run("debuginfod", func(t *testing.T) {
		asked := ""
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = r.URL.Path
			http.ServeFile(w, r, debug)
		}))
		defer srv.Close()
		t.Setenv("XDG_CACHE_HOME", t.TempDir())
		t.Setenv("DEBUGINFOD_URLS", srv.URL)
		if name := named(stripped, &unwind.Finder{}); name != "" || asked != "" {
			t.Errorf("named %q, asked for %q without being told to", name, asked)
		}
		for range 2 { // the second time from the cache
			if name := named(stripped, &unwind.Finder{Fetch: unwind.Debuginfod}); name != staticName {
				t.Errorf("named %q", name)
			}
			srv.Close()
		}
		if asked != "/buildid/"+id+"/debuginfo" {
			t.Errorf("asked for %q", asked)
		}
	})
}

// fromOriginal takes names from the file itself, of which a recording has the beginning.
func fromOriginal(t *testing.T, whole string, addr uint64) {
	t.Run("the original", func(t *testing.T) {
		// A recording has the beginning of the file alone.
		b, err := os.ReadFile(whole)
		if err != nil {
			t.Fatal(err)
		}
		kept := b[:loadedEnd(t, whole)]
		for _, tt := range []struct {
			find *unwind.Finder
			want string
		}{{nil, ""}, {&unwind.Finder{Originals: true}, staticName}} {
			im, err := unwind.NewFile(whole, bytes.NewReader(kept), int64(len(kept)), tt.find)
			if err != nil {
				t.Fatal(err)
			}
			if name, _, _ := im.Symbol(addr); name != tt.want {
				t.Errorf("named %q, want %q", name, tt.want)
			}
			if lo, hi, ok := im.Function(addr); !ok || lo != addr || hi <= addr {
				t.Errorf("the unwind table has %#x to %#x, %v", lo, hi, ok)
			}
		}
	})
}

// loadedEnd returns where the last loaded byte of a file is.
func loadedEnd(t *testing.T, path string) uint64 {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	end := uint64(0)
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD {
			end = max(end, p.Off+p.Filesz)
		}
	}
	return end
}

func copyTo(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o700)
	}
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
