package capture

import (
	"strings"
	"testing"
)

func TestWithoutJIT(t *testing.T) {
	for _, c := range []struct{ env, want, said string }{
		{"A=1 PYTHON_JIT=1 B=2", "A=1 PYTHON_JIT=0 B=2", "PYTHON_JIT=1: recorded with the JIT off"},
		{"PYTHON_JIT=0 A=1", "PYTHON_JIT=0 A=1", ""},
		{"PYTHON_JIT= A=1", "PYTHON_JIT= A=1", ""},
		{"PYTHON_JIT_X=1", "PYTHON_JIT_X=1", ""},
	} {
		out, said := withoutJIT(strings.Fields(c.env))
		if got := strings.Join(out, " "); got != c.want || !strings.HasPrefix(said, c.said) || (said == "") != (c.said == "") {
			t.Errorf("%s: %s, %q", c.env, got, said)
		}
	}
}
