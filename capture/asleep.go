package capture

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"
)

// threadStats keeps files of /proc open, since the threads that wait again and again
// are looked at again and again, and opening costs more than reading does. A thread
// has the place of its number; one that ended leaves a file that can't be read any
// more, also where its number comes again.
type threadStats [64]struct{ tid, fd int }

// sleeping reports whether a thread waits in the kernel. A thread in a ptrace stop
// shows as t, one that runs as R.
func (s *threadStats) sleeping(tid int) bool {
	at := &s[tid%len(s)]
	known := at.tid == tid
	for {
		if !known {
			s.drop(tid % len(s))
			// The thread's own: that of the process, which /proc/TID has, adds up all threads.
			fd, err := unix.Open(fmt.Sprintf("/proc/%d/task/%d/stat", tid, tid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return false
			}
			at.tid, at.fd = tid, fd
		}
		var buf [64]byte // the state comes behind the number and a name of 15 bytes
		n, err := unix.Pread(at.fd, buf[:], 0)
		if err == nil {
			i := bytes.LastIndexByte(buf[:n], ')')
			return i >= 0 && i+2 < n && (buf[i+2] == 'S' || buf[i+2] == 'D')
		}
		s.drop(tid % len(s))
		if !known {
			return false
		}
		known = false
	}
}

func (s *threadStats) drop(i int) {
	if s[i].tid != 0 {
		unix.Close(s[i].fd)
		s[i].tid = 0
	}
}

func (s *threadStats) close() {
	for i := range s {
		s.drop(i)
	}
}
