package stack

import (
	"path"
	"strings"

	"pyrr/internal/lazyregexp"
)

// tempName matches what tempfile (8 of a-z, 0-9 and _), mktemp(1) and pytest name
// folders and files by.
var tempName = lazyregexp.New(`^(tmp\.?[A-Za-z0-9_]{6,10}|pytest-of-.*|pytest-[0-9]+)$`)

// Temporary tells an absolute path below a folder that lasts as long as a run:
// another run has another name for it.
func Temporary(file string) bool {
	if !path.IsAbs(file) {
		return false
	}
	for _, dir := range [...]string{"/tmp/", "/var/tmp/", "/dev/shm/"} {
		if strings.HasPrefix(file, dir) {
			return true
		}
	}
	for part := range strings.SplitSeq(path.Dir(file), "/") {
		if tempName().MatchString(part) {
			return true
		}
	}
	return false
}

// Plugin tells, by its name without folder, a file of pyrr's own plugin for test runners.
func Plugin(name string) bool {
	switch name {
	case "pyrr_interrupt.py", "pyrr_marks.py", "pyrr_pytest.py", "pyrr_reasons.py", "pyrr_resume.py", "pyrr_unittest.py":
		return true
	}
	return false
}

// Harness tells, by the name that Paths.Short gives it, a file that shows how
// tests are run and not what they do: of pytest and its plugins, of pyrr's plugin.
func Harness(short string) bool {
	for _, p := range [...]string{"_pytest/", "pytest/", "pluggy/", "pytest_asyncio/", "xdist/", "execnet/"} {
		if strings.HasPrefix(short, p) {
			return true
		}
	}
	switch dir, name := path.Split(short); {
	case Plugin(name), short == "runpy.py", short == "<frozen runpy>":
		return true
	default: // the script that an installed command begins with
		return (strings.HasSuffix(dir, "/bin/") || dir == "bin/") && !strings.Contains(name, ".")
	}
}
