//go:build !linux || !amd64

package probe

func probeMachine() *Report { return &Report{Features: []Feature{Here()}} }

// CPUFlags returns nothing: there is no /proc/cpuinfo of an x86-64.
func CPUFlags() ([]string, error) { return nil, nil }
