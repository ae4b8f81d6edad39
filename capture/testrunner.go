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

// preparers are programs that make environments, into which they install what tests need,
// before they start those.
var preparers = []string{"tox", "nox", "uv", "uvx", "poetry", "hatch", "pdm", "pipenv", "pixi", "conda", "mamba", "micromamba", "pip", "pipx", "virtualenv"}

// prepares tells by a command line whether a program is one of the preparers: by its own
// name, or as the interpreter's module or script.
func prepares(argv []string) bool {
	if len(argv) > 0 && !strings.HasPrefix(filepath.Base(argv[0]), "python") {
		argv = argv[:1]
	}
	for i, a := range argv {
		before := argv[max(0, i-1)]
		switch {
		case i > 0 && before == "-c":
			return false
		case i > 0 && (strings.HasPrefix(a, "-") || before == "-X" || before == "-W"):
			continue
		case slices.Contains(preparers, strings.TrimRight(filepath.Base(a), ".0123456789")):
			return true
		case i > 0:
			return false
		}
	}
	return false
}

// preparing is how long it may take until tests begin, at least, where environments are made
// for them first: an installation takes minutes.
const preparing = 10 * time.Minute

// preparationBegins looks at a program that was just executed, before any test: while it
// prepares them, the time-out is not that of the command.
func (r *recorder) preparationBegins(p *process, argv []string) {
	if !r.runners && r.timesTests() && r.preparer == nil && !r.deadline.IsZero() && prepares(argv) {
		r.preparer = p
		r.due(max(r.testLimit(), preparing))
	}
}

// preparationEnds looks at a process that has ended, or executes another program: what
// comes then has the time-out, if it is not tests.
func (r *recorder) preparationEnds(p *process) {
	if p == nil || p != r.preparer || len(p.tasks) > 0 {
		return
	}
	r.preparer = nil
	if !r.runners && !r.deadline.IsZero() {
		r.due(r.testLimit())
	}
}
