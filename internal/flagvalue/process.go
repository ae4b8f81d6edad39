package flagvalue

import (
	"errors"
	"strconv"
)

// Process is the value of a flag that names a process.
type Process struct{ pid *int }

// NewProcess makes one that sets pid.
func NewProcess(pid *int) Process { return Process{pid} }

func (p Process) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n <= 0 {
		return errors.New("it takes the id of a process")
	}
	*p.pid = n
	return nil
}

func (p Process) String() string {
	if p.pid == nil || *p.pid == 0 {
		return ""
	}
	return strconv.Itoa(*p.pid)
}

func (p Process) Type() string { return "pid" }
