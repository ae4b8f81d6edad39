//go:build !linux || !amd64

package probe

func probeMachine() *Report { return &Report{Features: []Feature{Here()}} }
