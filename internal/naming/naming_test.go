package naming

import (
	"path/filepath"
	"testing"
)

// TestPlanFolder: where a recording goes without a name for it.
func TestPlanFolder(t *testing.T) {
	for _, c := range []struct{ out, bazel, want string }{
		{"", "", "recordings"},
		{"", "/b/test.outputs", "/b/test.outputs"},
		{"kept", "/b/test.outputs", "kept"},
	} {
		t.Setenv(bazelDir, c.bazel)
		got, err := Plan(c.out, []string{"python3", "a.py"})
		if err != nil || filepath.Dir(got.Packed) != c.want || filepath.Dir(got.Part) != c.want {
			t.Errorf("-o %q, Bazel's %q: %+v, %v", c.out, c.bazel, got, err)
		}
	}
}
