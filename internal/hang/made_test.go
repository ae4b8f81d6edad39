package hang

import "testing"

// TestMade: what a worker of xdist, or who calls pytest.main, runs as python -c is no place in
// the user's code; what a test itself has exec run is one, and so is the program of python -c.
func TestMade(t *testing.T) {
	f := func(file, name string) Frame { return Frame{File: file, Func: name, Line: 1} }
	const packages = "/v/lib/python3.11/site-packages/"
	worker := []Frame{f("/usr/lib/python3.11/selectors.py", "select"), f(packages+"_pytest/runner.py", "call"), f(packages+"execnet/gateway_base.py", "serve"), f("<string>", "<module>"), f("<string>", "<module>")}
	inTest := []Frame{f("<string>", "<module>"), f("/app/test_it.py", "test_it"), f(packages+"_pytest/runner.py", "call")}
	alone := []Frame{f("/usr/lib/python3.11/threading.py", "wait"), f("<string>", "<module>")}
	for _, c := range []struct {
		frames []Frame
		k      int
		want   bool
	}{{worker, 3, true}, {worker, 4, true}, {inTest, 0, false}, {alone, 1, false}} {
		if got := Made(c.frames, c.k); got != c.want {
			t.Errorf("%v, %d: %v", c.frames, c.k, got)
		}
	}
}
