package capture

import (
	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
)

// control reads the control data of a message that a thread is about to send:
// only there is seen which descriptors go with it.
func (r *recorder) control(t *task, nr int, args [6]uint64) []byte {
	at, size := linux.MessageHeader(nr, args)
	if size == 0 {
		return nil
	}
	head := make([]byte, size)
	if (ptrace.Mem)(t.tid).ReadAt(head, at) != nil {
		return nil // the call will fail
	}
	addr, n := linux.Control(nr, head)
	if n == 0 {
		return nil
	}
	b := make([]byte, n)
	if (ptrace.Mem)(t.tid).ReadAt(b, addr) != nil {
		return nil
	}
	return b
}
