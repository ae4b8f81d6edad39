package main

import (
	"errors"
	"fmt"
	"strings"

	"pyrr/cpython"
)

// clockTable says where an interpreter's dispatch tables are, in words; the
// error says why its instructions can't be counted.
func clockTable(binary string) (string, error) {
	c, err := cpython.FindClock(binary)
	if errors.Is(err, cpython.ErrNotPython) {
		return "", fmt.Errorf("there is no CPython in %s: %w", binary, err)
	}
	if clock, ok := errors.AsType[*cpython.ClockError](err); ok {
		return "", withHint(errors.New("its instructions can't be counted: "+clock.Reason), clock.Hint)
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
	return fmt.Sprintf("%s at %s, %s", noun, strings.Join(at, " and "), plural(uint64(c.Sites), "jump", "jumps")), nil
}
