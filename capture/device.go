package capture

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"pyrr/internal/recording"
	"pyrr/internal/sys"
)

// gpuDevices are devices by which hardware reads and writes a program's memory at any
// time, without a call: what it does is in no log, and a replay has nothing in its
// place. A name that ends with a star stands for all that begin so.
var gpuDevices = []string{
	"/dev/nvidia*", // NVIDIA's driver: nvidia0, nvidiactl, nvidia-uvm, nvidia-caps/…
	"/dev/kfd",     // AMD's compute driver
	"/dev/dri/render*",
}

// gpuDevice is the name of such a device that a call has just opened, "" for others.
func gpuDevice(pid, fd int) string {
	name := fmt.Sprintf("/proc/%d/fd/%d", pid, fd)
	path, err := os.Readlink(name)
	if err != nil {
		return ""
	}
	for _, d := range gpuDevices {
		prefix, open := strings.CutSuffix(d, "*")
		if path != d && !(open && strings.HasPrefix(path, prefix)) {
			continue
		}
		var st unix.Stat_t
		if unix.Stat(name, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR {
			return path
		}
	}
	return ""
}

// deviceOpened ends recording where the call at hand has opened a GPU: for good, since
// the process keeps it open. In a session of tests these go on under their time limits.
func (r *recorder) deviceOpened(t *task, ev *recording.Event) error {
	switch t.ev.Nr {
	case sys.SYS_OPEN, sys.SYS_OPENAT, sys.SYS_OPENAT2:
	default:
		return nil
	}
	if ev.Ret < 0 || t.proc.device != "" || !strings.HasPrefix(string(t.ev.In), "/dev/") {
		return nil
	}
	path := gpuDevice(t.pid, int(ev.Ret))
	if path == "" {
		return nil
	}
	err := fmt.Errorf("%s is open: what a GPU does to memory can't be recorded", path)
	if !r.beginsAnew(t.proc) {
		return err
	}
	t.proc.device = path
	r.warnf("process %d (%s): tests are not recorded from here on, their time limits stay: %v", t.proc.pid, shortName(t.proc.exe), err)
	if t.proc.ep != nil {
		r.endHere(t.proc, err)
	}
	return nil
}
