package inject

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var approxLine = regexp.MustCompile(`^\s*([0-9a-f]+):\t(v?(?:rcp|rsqrt)[ps]s|fsin|fcos|fsincos|fptan|fpatan|f2xm1|fyl2xp?1?)(?:\s|$)`)

// TestApproxSites compares the approximate instructions found in the mathematical library
// with objdump's. What objdump has in libcrypto is constants among its code.
func TestApproxSites(t *testing.T) {
	for _, globs := range [][]string{
		{"/lib/x86_64-linux-gnu/libm.so.6", "/lib64/libm.so.6"},
		{"/usr/lib/x86_64-linux-gnu/libcrypto.so.3"},
		{"/usr/bin/python3"},
	} {
		path := firstFile(globs)
		if path == "" {
			t.Logf("left out: %v", globs)
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		sites, err := ApproxSites(f, path)
		if err != nil {
			t.Fatal(err)
		}
		got, want := map[uint64]string{}, map[uint64]string{}
		var lines []string
		for _, s := range sites {
			got[s.Vaddr] = s.Name
			lines = append(lines, encodeApprox(s))
		}
		if back, ok := decodeApprox(lines); !ok || len(back) != len(sites) {
			t.Errorf("%s: the cache's form is read as %v, %v", path, back, ok)
		}
		if !strings.Contains(path, "libcrypto") {
			want = objdumpSites(t, path, approxLine)
		}
		t.Logf("%s: %d", path, len(want))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-objdump +found):\n%s", path, diff)
		}
	}
}
