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

// plugin is the folder of the runner's plugin, "" where it is not to be loaded into a
// program: where all is one recording, it is only there for the time limits of tests, and
// a program that runs no tests sees the same path as without pyrr.
func (r *recorder) plugin(argv []string) string {
	switch {
	case r.o.Tests != nil:
		return r.o.Tests.Plugin
	case runsPytest(argv) || runsUnittest(argv):
		return r.o.Plugin
	}
	return ""
}

// runsUnittest tells by a command line whether a program is unittest's runner, or Django's.
func runsUnittest(argv []string) bool {
	for i := 1; i < min(len(argv), 16); i++ {
		switch {
		case argv[i-1] == "-m" && argv[i] == "unittest", argv[i] == "test" && filepath.Base(argv[i-1]) == "manage.py":
			return true
		case argv[i-1] == "-c":
			return false
		}
	}
	return false
}

// timesTests says whether the time-out is that of each test, and of what else a
// runner does.
func (r *recorder) timesTests() bool { return r.o.Tests != nil || r.o.Plugin != "" }

// testLimit is how long a test may take that has no limit of its own.
func (r *recorder) testLimit() time.Duration {
	if r.o.Tests != nil {
		return r.o.Tests.Limit
	}
	return r.o.Timeout
}

// withoutPlugin says what can't be done without the runner's plugin.
func (r *recorder) withoutPlugin() string {
	if r.o.Tests == nil {
		return "the time-out is that of all tests together"
	}
	return "its tests are not recorded one by one, and the time-out is that of all"
}

// runnerBegins looks at a program that was just executed, where tests are timed
// by themselves. The time-out is each test's: until the first, pytest loads plugins
// and conftest files, which may take as long as a file that is collected.
func (r *recorder) runnerBegins(p *process) {
	if r.runners || !runsPytest(p.argv) {
		return
	}
	r.startUp()
	const off = "PYTEST_DISABLE_PLUGIN_AUTOLOAD="
	if slices.ContainsFunc(p.env, func(v string) bool { return strings.HasPrefix(v, off) && len(v) > len(off) }) &&
		!slices.Contains(p.argv, "pyrr_pytest") {
		r.warnf("PYTEST_DISABLE_PLUGIN_AUTOLOAD keeps pytest from loading pyrr's plugin: %s; pytest -p pyrr_pytest loads it", r.withoutPlugin())
		if r.o.Timeout > 0 {
			r.due(r.o.Timeout)
		}
	}
}

// startUp gives what is not a test until now the time for that.
func (r *recorder) startUp() {
	if !r.deadline.IsZero() {
		r.deadline, r.after = r.limitOutside(), r.outside()
	}
}

// due has the command end after some time.
func (r *recorder) due(after time.Duration) {
	r.deadline, r.after = time.Now().Add(after), after
}
