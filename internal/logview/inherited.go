package logview

import (
	"strings"

	unix "pyrr/internal/sys"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// anonymous are what the kernel calls files without a name (proc(5)).
var anonymous = map[string]linux.Object{
	"[eventfd]": linux.ObjEventFD, "[eventpoll]": linux.ObjEpoll, "[timerfd]": linux.ObjTimerFD,
	"[signalfd]": linux.ObjSignalFD, "inotify": linux.ObjInotify, "[fanotify]": linux.ObjFanotify, "[pidfd]": linux.ObjPidFD,
}

// objectOf says what a descriptor stands for by its name in /proc.
func objectOf(name string) linux.Object {
	switch kind, rest, _ := strings.Cut(name, ":"); {
	case strings.HasPrefix(name, "/memfd:"):
		return linux.ObjMemFD
	case strings.HasPrefix(name, "/"):
		return linux.ObjFile
	case kind == "pipe":
		return linux.ObjPipe
	case kind == "socket":
		return linux.ObjSocket
	case kind == "anon_inode" && anonymous[rest] != linux.ObjUnknown:
		return anonymous[rest]
	}
	return linux.ObjOther
}

// inherit gives a process what it had open when its recording began. The same
// pipe or socket is the same open file, and the ends of a pipe find each other.
func (m *merger) inherit(sc *scan, t *table, open []recording.OpenFD) {
	made := Moment{Proc: sc.p.ID, TID: int32(sc.p.PID)}
	for i := range open {
		o := &open[i]
		kind := objectOf(o.Name)
		writes := kind == linux.ObjPipe && o.Flags&unix.O_ACCMODE == unix.O_WRONLY
		key := inherited{o.Name, writes}
		f := m.inherited[key]
		if f == nil || kind != linux.ObjPipe && kind != linux.ObjSocket {
			f = m.newFile(File{Kind: kind, Inherited: true, Made: made, Writes: writes})
			if kind == linux.ObjFile || kind == linux.ObjMemFD {
				f.Path = strings.TrimSuffix(o.Name, " (deleted)")
			}
			m.inherited[key] = f
			if other := m.inherited[inherited{o.Name, !writes}]; kind == linux.ObjPipe && other != nil {
				join(f, other, true)
			}
		}
		t.fds[int(o.FD)] = &FD{Num: int(o.FD), Cloexec: o.Flags&unix.O_CLOEXEC != 0, File: f, Since: made}
	}
}

// inherited names one end of what was open when the recording began.
type inherited struct {
	name   string
	writes bool
}
