package cpython

import (
	"fmt"
	"strconv"
	"strings"
)

// Version is a CPython version. Micro is -1 when only Major and Minor are
// known.
type Version struct{ Major, Minor, Micro int }

// String returns "3.11.2", or "3.11" without a known Micro.
func (v Version) String() string {
	if v.Micro < 0 {
		return fmt.Sprintf("%d.%d", v.Major, v.Minor)
	}
	return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Micro)
}

// parseVersion reads a version in the form of PY_VERSION (patchlevel.h):
// 3.8.18, 3.13.0rc1, 3.9.2+.
func parseVersion(s string) (Version, bool) {
	parts := strings.SplitN(s, ".", 3)
	if len(parts) != 3 {
		return Version{}, false
	}
	if i := strings.IndexFunc(parts[2], func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		if !strings.HasPrefix(parts[2][i:], "+") && !strings.ContainsAny(parts[2][i:i+1], "abr") {
			return Version{}, false
		}
		parts[2] = parts[2][:i]
	}
	var n [3]int
	for i, p := range parts {
		x, err := strconv.ParseUint(p, 10, 8)
		if err != nil || len(p) > 3 {
			return Version{}, false
		}
		n[i] = int(x)
	}
	return Version{n[0], n[1], n[2]}, true
}
