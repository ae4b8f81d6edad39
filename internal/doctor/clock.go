// Package doctor looks at the interpreters of this machine: whether they can be
// recorded and counted.
//
// It never changes an interpreter. Begin with Inspect.
package doctor

import (
	"errors"
	"fmt"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/hint"
	"pyrr/internal/printable"
)

// ClockTable says where an interpreter's dispatch tables are, in words; the
// error says why its instructions can't be counted.
func ClockTable(binary string) (string, error) {
	c, err := cpython.FindClock(binary)
	if errors.Is(err, cpython.ErrNotPython) {
		return "", fmt.Errorf("there is no CPython in %s: %w", binary, err)
	}
	if clock, ok := errors.AsType[*cpython.ClockError](err); ok {
		return "", hint.With(errors.New("its instructions can't be counted: "+clock.Reason), clock.Hint)
	}
	if err != nil {
		return "", err
	}
	var at []string
	for _, t := range c.Tables {
		at = append(at, fmt.Sprintf("%#x", t.Addr))
	}
	noun := "dispatch table"
	if len(at) > 1 {
		noun = "dispatch tables"
	}
	return fmt.Sprintf("%s at %s, %s", noun, strings.Join(at, " and "), printable.Plural(uint64(c.Sites), "jump", "jumps")), nil
}
