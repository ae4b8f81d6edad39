package main

import (
	"strings"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// callText prints a system call with its arguments and, once it returned,
// its result. enter and exit are the same event for a call that gave way to
// nobody.
func callText(enter, exit *recording.Event, returned bool) string {
	args, result := linux.Decode(int(enter.Nr), enter.Args, exit.Ret, enter.In, exit.Written)
	s := linux.Name(int(enter.Nr)) + "(" + strings.Join(args, ", ") + ")"
	if returned {
		s += " = " + result
	}
	return s
}

// callArgs returns all arguments of a call for programs.
func callArgs(enter, exit *recording.Event) []jsonArg {
	var out []jsonArg
	for _, a := range linux.DecodeArgs(int(enter.Nr), enter.Args, exit.Ret, enter.In, exit.Written) {
		out = append(out, jsonArg{a.Name, a.Value, a.Num})
	}
	return out
}
