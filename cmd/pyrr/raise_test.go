//go:build linux && amd64

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pyrr/internal/probe"
	"pyrr/internal/setup"
)

// TestRaiseInlined finds exceptions where Clang has made PyTraceBack_Here a part of the eval
// loop, in what uv installs as Python 3.10 and 3.11; and where no dynamic symbol tells where it is.
func TestRaiseInlined(t *testing.T) {
	probe.Require(t)
	tried := false
	for _, name := range []string{"pbs310/bin/python3.10", "pbs311/bin/python3.11", "static313/bin/python3.13"} {
		python := setup.Path(name)
		if _, err := os.Stat(python); err != nil {
			continue
		}
		tried = true
		t.Run(filepath.Base(python), func(t *testing.T) {
			dir := t.TempDir()
			app, rec := filepath.Join(dir, "app.py"), filepath.Join(dir, "x.pyrr.zip")
			const program = `def inner():
    raise KeyError("caught")
def outer():
    try:
        inner()
    except KeyError:
        {}["lost"]
outer()
`
			if err := os.WriteFile(app, []byte(program), 0o666); err != nil {
				t.Fatal(err)
			}
			if status, _, errs := capturePyrr("record", "-o", rec, "--", python, "-S", "-E", app); status != 1 {
				t.Fatalf("record: status %d\n%s", status, errs)
			}
			status, out, errs := capturePyrr("print", rec, "raise KeyError")
			if status != 0 {
				t.Fatalf("print: status %d\n%s", status, errs)
			}
			var got []string
			for line := range strings.Lines(out) {
				if _, rest, ok := strings.Cut(line, "app.py:"); ok {
					got = append(got, strings.Join(strings.Fields(rest), " "))
				}
			}
			if want := "2 raise KeyError('caught'); 7 raise KeyError('lost')"; strings.Join(got, "; ") != want {
				t.Errorf("%q, want %q\n%s", got, want, out)
			}
		})
	}
	if !tried {
		t.Skip("neither is there: scripts/interpreters.sh makes them")
	}
}
