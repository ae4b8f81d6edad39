package pytest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pyrr/internal/stack"
)

// TestInstall: the folder has each file of the plugin, and stacks know them all: no frame
// of the plugin is taken for one of the user's.
func TestInstall(t *testing.T) {
	dir, err := Install("")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	here, err := filepath.Glob("*.py")
	if err != nil || len(here) == 0 {
		t.Fatalf("files of the plugin: %v, %v", here, err)
	}
	for _, name := range here {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != string(want) {
			t.Errorf("%s is not what was installed: %v", name, err)
		}
		if strings.HasPrefix(name, "pyrr_") != stack.Plugin(name) {
			t.Errorf("%s: stacks take it for a file of the plugin: %v", name, stack.Plugin(name))
		}
	}
	if entry, err := os.ReadFile(filepath.Join(dir, info, "entry_points.txt")); err != nil || string(entry) != entryPoint {
		t.Errorf("the entry point: %q, %v", entry, err)
	}
}
