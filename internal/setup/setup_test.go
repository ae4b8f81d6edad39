package setup

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestPath(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	for _, f := range []string{first + "/both", second + "/both", second + "/one"} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PYRR_CACHE", first)
	for _, tt := range []struct{ second, elem, want string }{
		{second, "both", first + "/both"},
		{second, "one", second + "/one"},
		{second, "none", first + "/none"},
		{"", "both", first + "/both"},
		{"", "one", first + "/one"}, // what another cache has must not hide that this one lacks it
	} {
		t.Setenv("PYRR_INTERPRETERS", tt.second)
		if got := Path(tt.elem); got != tt.want {
			t.Errorf("with %q beside it %s is %s, want %s", tt.second, tt.elem, got, tt.want)
		}
	}
	t.Setenv("PYRR_CACHE", "")
	if got, want := Path("no such"), filepath.Join(shared, "no such"); got != want {
		t.Errorf("without a cache of its own it is %s, want %s", got, want)
	}
	t.Setenv("PYRR_CACHE", first)
	real, err := filepath.EvalSymlinks(second)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(first+"/roots", 0o700), os.Symlink(second, first+"/roots/sid")); err != nil {
		t.Fatal(err)
	}
	if got := Root("sid"); got != real {
		t.Errorf("the root is %s, want %s", got, real)
	}
}
