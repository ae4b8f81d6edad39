//go:build unix

package main

import (
	"os"
	"syscall"
)

// become replaces this program with another one.
func become(path string, args []string) error {
	return syscall.Exec(path, args, os.Environ())
}
