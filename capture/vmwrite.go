package capture

import (
	"fmt"

	"pyrr/internal/sys"
)

// leaveWritten ends the recording of another process whose memory a call is about
// to write, as sys.remote_exec does (process_vm_writev(2)): a replay would not have
// what is written there. That process runs on, like the one that writes.
func (r *recorder) leaveWritten(p *process, nr int, pid int32) {
	if nr != sys.SYS_PROCESS_VM_WRITEV {
		return
	}
	for _, other := range r.processes {
		if other == p || other.pid != int(pid) || other.mode != modeRecord {
			continue
		}
		err := fmt.Errorf("process %d writes its memory (process_vm_writev), which can't be recorded", p.pid)
		if r.beginsAnew(other) {
			r.endHere(other, err)
		} else {
			r.leave(other, err.Error())
		}
		return
	}
}
