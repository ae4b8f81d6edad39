// Package goldentest compares what tests make with files that hold what was right before,
// and rewrites those where -update asks for it. It is for tests alone, and never writes
// where CI=true. Begin with Compare.
package goldentest

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Updating says whether goldens are to be rewritten, which CI never does.
func Updating(t testing.TB) bool {
	t.Helper()
	if *update && os.Getenv("CI") == "true" {
		t.Fatal("-update is refused where CI=true")
	}
	return *update
}

// Compare compares a text with that of a file.
func Compare(t testing.TB, file, got string) {
	t.Helper()
	if Updating(t) {
		Write(t, file, got)
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// Write writes a file, and makes its folder.
func Write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}
