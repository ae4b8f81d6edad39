package logview

import (
	"fmt"
	"maps"
	"slices"

	unix "pyrr/internal/sys"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// OpenFDs lists the descriptors of a process as a recording that begins at this
// moment has to list them (recording.Event.Open). Where the kernel names pipes and
// sockets by their inodes, the number of the open file stands: it is the same for
// both ends of a pipe, and of no others. Descriptors of which nothing is known are
// left out.
func (s *State) OpenFDs(proc int) []recording.OpenFD {
	p := s.Proc(proc)
	if p == nil {
		return nil
	}
	var out []recording.OpenFD
	for n, d := range p.FDs {
		name, flags := d.File.procName()
		if name == "" {
			continue
		}
		if d.Cloexec {
			flags |= unix.O_CLOEXEC
		}
		out = append(out, recording.OpenFD{FD: int32(n), Flags: flags, Name: name})
	}
	slices.SortFunc(out, func(a, b recording.OpenFD) int { return int(a.FD) - int(b.FD) })
	return out
}

// procName is what /proc/PID/fd would lead to, "" where that is not known, and how
// it is open.
func (f *File) procName() (name string, flags uint32) {
	switch f.Kind {
	case linux.ObjFile:
		return f.Path, 0
	case linux.ObjMemFD:
		return "/memfd:" + f.Path, unix.O_RDWR
	case linux.ObjPipe:
		n := f.Num
		if f.Other != nil {
			n = min(n, f.Other.Num)
		}
		if f.Writes {
			flags = unix.O_WRONLY
		}
		return fmt.Sprintf("pipe:[%d]", n), flags
	case linux.ObjSocket:
		d := linux.OpenDetail{Domain: f.Domain, Type: f.Type, Local: f.Local, Remote: f.Remote, Listens: f.Listening}
		if f.Other != nil {
			d.Peer, d.Likely = uint64(f.Other.Num), !f.Sure
		}
		return fmt.Sprintf("socket:[%d]", f.Num) + d.Words(), unix.O_RDWR
	}
	d := linux.OpenDetail{PID: f.PID}
	for _, fd := range slices.Sorted(maps.Keys(f.Watched)) {
		d.Watched = append(d.Watched, linux.OpenWatch{FD: int32(fd), Events: f.Watched[fd].Events})
	}
	for kind, object := range anonymous {
		if object == f.Kind {
			return "anon_inode:" + kind + d.Words(), unix.O_RDWR
		}
	}
	return "", 0
}
