package capture

import "strings"

// withoutJIT is what the command gets of an environment: with the JIT of CPython
// 3.13 and later off, by its own setting (PYTHON_JIT), since instructions that it has
// compiled go through no table and would not be counted. said is what the user is
// told of it, "" where nothing had to be changed.
func withoutJIT(env []string) (out []string, said string) {
	const name = "PYTHON_JIT="
	for _, e := range env {
		if value, ok := strings.CutPrefix(e, name); ok && value != "" && value != "0" {
			said = e + ": recorded with the JIT off (PYTHON_JIT=0), as what it compiles can't be counted"
			e = name + "0"
		}
		out = append(out, e)
	}
	return out, said
}
