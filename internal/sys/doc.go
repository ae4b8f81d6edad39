// Package sys has what the engine asks of the Linux kernel that it runs on, under the
// names that golang.org/x/sys/unix has for it. On other systems, where
// recordings are only read, values are those of Linux, and every call fails with
// ErrElsewhere. Numbers of system calls are x86-64's everywhere (numbers.go).
//
// It holds nothing of its own. Begin with internal/linux for what is known of the
// kernel as data.
package sys
