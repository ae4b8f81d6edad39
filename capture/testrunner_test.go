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
