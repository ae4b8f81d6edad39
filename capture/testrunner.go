package capture

import (
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// runsPytest tells by a command line whether a program is pytest: the module, or
// the script, as the interpreter's own argument or that of a tool in between
// (python -m coverage run -m pytest).
func runsPytest(argv []string) bool {
	const most = 16 // what comes later is pytest's, or the program's own
	for i, a := range argv[:min(len(argv), most)] {
		switch name := filepath.Base(a); {
		case name == "pytest", name == "py.test", strings.HasPrefix(name, "pytest-3"):
			return i == 0 || argv[i-1] == "-m" || filepath.IsAbs(a) || strings.Contains(a, "/")
		case i > 0 && argv[i-1] == "-c":
			return false
		}
	}
	return false
}

// runnerBegins looks at a program that was just executed, where tests are recorded
// by themselves. The time-out is each test's: until the first, pytest loads plugins
// and conftest files, which may take as long as a file that is collected.
func (r *recorder) runnerBegins(sp *space) {
	if r.runners || !runsPytest(sp.argv) {
		return
	}
	r.startUp()
	const off = "PYTEST_DISABLE_PLUGIN_AUTOLOAD="
	if slices.ContainsFunc(sp.env, func(v string) bool { return strings.HasPrefix(v, off) && len(v) > len(off) }) &&
		!slices.Contains(sp.argv, "pyrr_pytest") {
		r.warnf("PYTEST_DISABLE_PLUGIN_AUTOLOAD keeps pytest from loading pyrr's plugin: its tests are not recorded one by one, and the time-out is that of all; with pytest -p pyrr_pytest they are")
		if r.o.Timeout > 0 {
			r.deadline = time.Now().Add(r.o.Timeout)
		}
	}
}

// startUp gives what is no test until now the time for that.
func (r *recorder) startUp() {
	if !r.deadline.IsZero() {
		r.deadline = r.limitOutside()
	}
}
