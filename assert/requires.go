package assert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// pythonMatches holds a version like 3.11.2 against ">=3.8,<3.12".
func pythonMatches(want, version string) (bool, error) {
	have, ok := versionOf(version)
	if !ok {
		return false, fmt.Errorf("%q is not a version of Python", version)
	}
	all := true
	for part := range strings.SplitSeq(want, ",") {
		part = strings.TrimSpace(part)
		op := part[:len(part)-len(strings.TrimLeft(part, "<>=!"))]
		v, ok := versionOf(strings.TrimSpace(part[len(op):]))
		if !ok {
			return false, fmt.Errorf("%q is not a condition on Python's version", part)
		}
		// 3.11 means every 3.11.x, so only as many numbers are compared.
		c := slices.Compare(have[:min(len(v), len(have))], v)
		switch op {
		case ">=":
			all = all && c >= 0
		case ">":
			all = all && c > 0
		case "<=":
			all = all && c <= 0
		case "<":
			all = all && c < 0
		case "", "==":
			all = all && c == 0
		case "!=":
			all = all && c != 0
		default:
			return false, fmt.Errorf("%q is not a comparison", op)
		}
	}
	return all, nil
}

// versionOf reads the numbers of 3.14.0rc1.
func versionOf(s string) ([]int, bool) {
	var out []int
	for part := range strings.SplitSeq(s, ".") {
		digits := part[:len(part)-len(strings.TrimLeft(part, "0123456789"))]
		n, err := strconv.Atoi(digits)
		if err != nil || len(digits) > 6 {
			return nil, false
		}
		out = append(out, n)
		if digits != part {
			break
		}
	}
	return out, len(out) <= 4
}

// qualifiedNames reports whether that Python keeps qualified names in code
// objects (co_qualname, CPython 3.11); an unknown version counts as one.
func qualifiedNames(version string) bool {
	ok, err := pythonMatches(">=3.11", version)
	return ok || err != nil
}

// unmet says why a recording is not one that the spec is meant for, "" where
// it is.
func (r Requires) unmet(info *Info) string {
	if r.Arch != "" && info.Arch != r.Arch {
		return fmt.Sprintf("needs %s, the recording is of %s", r.Arch, orUnknown(info.Arch))
	}
	if r.Python == "" {
		return ""
	}
	version := ""
	first := 0
	for proc, v := range info.Pythons {
		if v != "" && (version == "" || proc < first) {
			version, first = v, proc
		}
	}
	if ok, err := pythonMatches(r.Python, version); err != nil || !ok {
		return fmt.Sprintf("needs CPython %s, the recording has %s", r.Python, orUnknown(version))
	}
	return ""
}

func orUnknown(s string) string {
	if s == "" {
		return "an unknown one"
	}
	return s
}
