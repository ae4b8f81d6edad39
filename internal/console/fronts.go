package console

import (
	"bytes"
	"fmt"
	"strings"

	"pyrr/internal/printable"
)

// Monitor runs a command and returns what it prints; python-bt is python_bt,
// as gdb's monitor commands are mostly spelt.
func (c *Console) Monitor(command string) string {
	out := c.out
	var b bytes.Buffer
	c.out = &b
	defer func() { c.out = out }()
	for _, t := range c.stateOfThreads() {
		if t.Current {
			c.tid, c.frame = t.TID, 0
		}
	}
	if name, rest, _ := strings.Cut(command, " "); name == "python-bt" || name == "py-bt" {
		command = strings.TrimSpace("python_bt " + rest)
	}
	if err := c.Do(command); err != nil {
		return err.Error() + "\n"
	}
	return b.String()
}

// Typed runs a command as if it was typed, and returns what it prints.
func (c *Console) Typed(command string) string {
	if command == "" || strings.HasPrefix("quit", command) {
		return ""
	}
	out := c.out
	var b bytes.Buffer
	c.out = &b
	defer func() { c.out = out }()
	if err := c.Do(command); err != nil {
		fmt.Fprintln(&b, printable.Line(err.Error()))
	}
	c.quit = false
	return b.String()
}
