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
	args, result := linux.Decode(int(enter.Nr), enter.Args, exit.Ret, enter.In, written(exit))
	s := linux.Name(int(enter.Nr)) + "(" + strings.Join(args, ", ") + ")"
	if returned {
		s += " = " + result
	}
	return s
}

// callArgs returns all arguments of a call for programs.
func callArgs(enter, exit *recording.Event) []jsonArg {
	var out []jsonArg
	for _, a := range linux.DecodeArgs(int(enter.Nr), enter.Args, exit.Ret, enter.In, written(exit)) {
		out = append(out, jsonArg{a.Name, a.Value, a.Num})
	}
	return out
}

// written returns a reader of the bytes that a call wrote.
func written(exit *recording.Event) func(addr uint64, n int) []byte {
	return func(addr uint64, n int) []byte {
		for _, w := range exit.Mem {
			if addr >= w.Addr && addr-w.Addr <= uint64(len(w.Data)) {
				if data := w.Data[addr-w.Addr:]; n <= len(data) {
					return data[:n]
				}
			}
		}
		return nil
	}
}
