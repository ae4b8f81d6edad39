// Package sys has what the engine asks of the Linux kernel that it runs on, under the
// names that golang.org/x/sys/unix has for it. On other systems and processors, where
// recordings are only read, numbers are those of Linux on x86-64, since that is what
// recordings are of, and every call fails with ErrElsewhere.
//
// It holds nothing of its own. Begin with internal/linux for what is known of the
// kernel as data.
package sys
