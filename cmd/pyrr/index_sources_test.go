//go:build linux && amd64

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pyrr/internal/stackwalk"

	"pyrr/internal/recording"
)

func TestSourceOf(t *testing.T) {
	for path, want := range map[string]string{
		"/a/b.py": "/a/b.py", "b.py": "b.py",
		"/a/__pycache__/b.cpython-311.pyc":              "/a/b.py",
		"/a/__pycache__/b.cpython-38.opt-1.pyc":         "/a/b.py",
		"/a/__pycache__/b.cpython-311-pytest-8.0.2.pyc": "/a/b.py",
		"__pycache__/b.cpython-313.pyc":                 "b.py",
		"/a/b.pyc":                                      "", "/a/b.txt": "", "/a/__pycache__/.cpython-311.pyc": "", "": "",
	} {
		if got, ok := stackwalk.SourceOf(path); got != want && ok || ok != (want != "") {
			t.Errorf("%s: %q, %v, want %q", path, got, ok, want)
		}
	}
}

// TestSources: a recording has all files that ran, whether they are on a stack or
// not, and they are shown as they were at that time.
func TestSources(t *testing.T) {
	python := tracedPython(t)
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("quiet.py", "def twice(x):\n    return 2 * x  # as it ran\n")
	write("cached.py", "def half(x):\n    return x // 2\n")
	write("idle.py", "UNUSED = 1\n")
	write("app.py", "import quiet, cached\nprint(quiet.twice(cached.half(8)))\n")
	record := func(name string) string {
		t.Helper()
		rec := filepath.Join(dir, name)
		if status, _, errs := capturePyrr("record", "-o", rec, "--", python, filepath.Join(dir, "app.py")); status != 0 {
			t.Fatalf("record: status %d\n%s", status, errs)
		}
		return rec
	}
	record("first.pyrr.zip") // leaves __pycache__ behind
	path := record("second.pyrr.zip")
	write("quiet.py", "# something else entirely\n")

	rec, err := recording.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	texts, err := rec.Sources()
	if err != nil {
		t.Fatal(err)
	}
	has := func(name string) bool { return len(texts[filepath.Join(dir, name)]) > 0 }
	if !has("app.py") || !has("quiet.py") || !has("cached.py") || has("idle.py") {
		var names []string
		for n := range texts {
			names = append(names, n)
		}
		t.Errorf("sources: %v", names)
	}
	got := typed(t, path, "break quiet.py:2", "c", "list quiet.py:1")
	for _, cmd := range []string{"c", "list quiet.py:1"} {
		if !strings.Contains(got[cmd], "as it ran") {
			t.Errorf("%s shows\n%s", cmd, got[cmd])
		}
	}
}
