package assert

import (
	"testing"

	"pyrr/internal/stack"
)

// TestChooseEnds holds of which threads or tasks a golden at the end is.
func TestChooseEnds(t *testing.T) {
	var ends []Stacks
	for _, name := range []string{"Task-1", "consumer"} {
		ends = append(ends, Stacks{Python: stack.Stack{Name: name}})
	}
	for _, c := range []struct {
		golden Golden
		want   int
	}{
		{Golden{Tasks: "all"}, 2}, {Golden{Tasks: "consumer"}, 1}, {Golden{Tasks: "none"}, 0},
		{Golden{}, 1}, {Golden{Threads: "main"}, 1}, {Golden{Threads: "all"}, 2}, {Golden{Threads: "cons*"}, 1},
	} {
		if got := chooseEnds(&c.golden, ends); len(got) != c.want {
			t.Errorf("tasks %q threads %q: %d, not %d", c.golden.Tasks, c.golden.Threads, len(got), c.want)
		}
	}
}
