package logview

import (
	"fmt"
	"slices"
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
	details := make([]linux.OpenDetail, len(open))
	for i := range open {
		o := &open[i]
		name, detail := linux.CutDetail(o.Name)
		details[i] = detail
		kind := objectOf(name)
		writes := kind == linux.ObjPipe && o.Flags&unix.O_ACCMODE == unix.O_WRONLY
		key := inherited{name, writes}
		f := m.inherited[key]
		if f == nil || kind != linux.ObjPipe && kind != linux.ObjSocket {
			f = m.newFile(File{Kind: kind, Inherited: true, Made: made, Writes: writes, PID: detail.PID})
			if kind == linux.ObjFile || kind == linux.ObjMemFD {
				f.Path = strings.TrimSuffix(name, " (deleted)")
			}
			m.inherited[key] = f
			if other := m.inherited[inherited{name, !writes}]; kind == linux.ObjPipe && other != nil {
				join(f, other, true)
			}
			if kind == linux.ObjSocket {
				m.inheritSocket(f, &detail, made)
			}
		}
		t.fds[int(o.FD)] = &FD{Num: int(o.FD), Cloexec: o.Flags&unix.O_CLOEXEC != 0, File: f, Since: made}
	}
	for i := range open {
		ep := t.fds[int(open[i].FD)].File
		for _, w := range details[i].Watched {
			if d := t.fds[int(w.FD)]; d != nil && len(ep.Watched) < maxWatched {
				if ep.Watched == nil {
					ep.Watched = map[int]Watch{}
				}
				ep.Watched[int(w.FD)] = Watch{d.File, w.Events}
			}
		}
	}
}

// inheritSocket takes in what was known of a socket when the recording began, and finds
// its other end among those of which that is known: the one that was named, of TCP the
// one with its addresses the other way round. A client that has none yet may be accepted
// still.
func (m *merger) inheritSocket(f *File, d *linux.OpenDetail, made Moment) {
	f.Domain, f.Type, f.Local, f.Remote, f.Listening = d.Domain, d.Type, d.Local, d.Remote, d.Listens
	streams := f.Type == sockStream || f.Type == sockSeqpacket
	if f.Remote != "" {
		f.Connected = &made
	}
	other := (*File)(nil)
	switch {
	case d.Peer != 0:
		other = m.inherited[inherited{name: fmt.Sprintf("socket:[%d]", d.Peer)}]
	case streams && f.Remote != "" && f.Domain != familyUnix:
		if other = m.conns[f.Remote+" "+f.Local]; other == f {
			other = nil // connected to itself
		}
		m.conns[f.Local+" "+f.Remote] = f
	}
	if other != nil {
		join(f, other, !d.Likely)
		for _, l := range m.listen {
			l.Backlog = slices.DeleteFunc(l.Backlog, func(c *File) bool { return c == f || c == other })
		}
		return
	}
	switch {
	case f.Listening:
		m.listen[f.Local] = f
		for _, c := range m.files {
			if c.Inherited && c.Connected != nil && c.Other == nil && c.Domain == f.Domain && m.listener(c.Remote) == f {
				f.Backlog = append(f.Backlog, c)
			}
		}
	case streams && f.Remote != "":
		if l := m.listener(f.Remote); l != nil {
			l.Backlog = append(l.Backlog, f)
		}
	}
}

// inherited names one end of what was open when the recording began.
type inherited struct {
	name   string
	writes bool
}
