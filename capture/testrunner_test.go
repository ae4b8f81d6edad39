package capture

import (
	"strings"
	"testing"
)

// TestPluginGoesToRunners holds which programs get the runner's plugin where all is one
// recording: those that run tests, and no other.
func TestPluginGoesToRunners(t *testing.T) {
	whole := &recorder{o: Options{Bounds: Bounds{}, Plugin: "/plugin"}}
	single := &recorder{o: Options{Tests: &Tests{Plugin: "/plugin"}}}
	for line, runs := range map[string]bool{
		"python -m pytest -q":                  true,
		"python /usr/bin/pytest":               true,
		"python -m coverage run -m pytest":     true,
		"python -m unittest discover":          true,
		"python -X dev manage.py test app":     true,
		"python manage.py runserver":           false,
		"python app.py":                        false,
		"python -c -m unittest":                false,
		"python app.py test":                   false,
		"python -m http.server --directory -m": false,
	} {
		argv := strings.Fields(line)
		if got := whole.plugin(argv) != ""; got != runs {
			t.Errorf("%s: gets the plugin: %v, want %v", line, got, runs)
		}
		if single.plugin(argv) == "" {
			t.Errorf("%s: does not get it where tests are recorded one by one", line)
		}
	}
}

// TestPrepares holds which programs may take longer than the time-out until tests begin.
func TestPrepares(t *testing.T) {
	for line, want := range map[string]bool{
		"tox -e py312":                           true,
		"/venv/bin/python /venv/bin/tox -q run":  true,
		"python3.12 -X dev -m nox -s tests":      true,
		"/usr/bin/uv run pytest":                 true,
		"python -I -m pip install .":             true,
		"/venv/bin/python3 /venv/bin/pip3.12 -q": true,
		"python app.py tox":                      false,
		"python app.py /venv/bin/pip":            false,
		"python -c x pip":                        false,
		"python -m app pip":                      false,
		"sh test.sh":                             false,
		"pytest tox":                             false,
		"sh tox":                                 false,
	} {
		if got := prepares(strings.Fields(line)); got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
}
