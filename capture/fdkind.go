package capture

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"pyrr/internal/inject"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
	"pyrr/internal/sys"
)

// localFS are file systems on which reading and writing a regular file waits
// for the disk at most, and does nothing but that (statfs(2), linux/magic.h).
// /proc and /sys are not among them, nor what a process or another machine serves.
var localFS = map[int64]bool{
	0xef53:     true, // ext2, ext3, ext4
	0x58465342: true, // xfs
	0x9123683e: true, // btrfs
	0x01021994: true, // tmpfs
	0x858458f6: true, // ramfs
	0x794c7630: true, // overlayfs
	0xf2f52010: true, // f2fs
	0x2fc12fc1: true, // zfs
}

// learnFD notes in the process what a descriptor is that a stopping call has
// made: which calls on it can be made without a stop.
func (r *recorder) learnFD(t *task, ev *recording.Event) {
	p := t.proc
	if p.calls == nil || t.pid != p.pid || t.lastRet < 0 || t.lastRet >= inject.CallFDs {
		return
	}
	r.noteSocket(t, ev)
	switch t.ev.Nr {
	case sys.SYS_OPEN, sys.SYS_OPENAT, sys.SYS_OPENAT2, sys.SYS_CREAT, sys.SYS_DUP, sys.SYS_DUP2, sys.SYS_DUP3, sys.SYS_MEMFD_CREATE,
		sys.SYS_SOCKET, sys.SYS_ACCEPT, sys.SYS_ACCEPT4:
	case sys.SYS_PIPE, sys.SYS_PIPE2, sys.SYS_SOCKETPAIR:
		if len(ev.Mem) != 1 || len(ev.Mem[0].Data) != 8 {
			return
		}
		for _, b := range [][]byte{ev.Mem[0].Data[:4], ev.Mem[0].Data[4:]} {
			if fd := int32(binary.LittleEndian.Uint32(b)); fd >= 0 && fd < inject.CallFDs {
				r.learnKind(t, int(fd))
			}
		}
		return
	case sys.SYS_FCNTL:
		if cmd := t.ev.Args[1]; cmd != unix.F_DUPFD && cmd != unix.F_DUPFD_CLOEXEC {
			return
		}
	default:
		return
	}
	r.learnKind(t, int(t.lastRet))
}

// learnFDs notes what all descriptors of a process are, which no recorded call of its
// made.
func (r *recorder) learnFDs(t *task) {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", t.pid))
	if err != nil {
		return // they are learnt as calls make them
	}
	for _, e := range list {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd < inject.CallFDs {
			r.learnKind(t, fd)
		}
	}
}

func (r *recorder) learnKind(t *task, fd int) {
	p := t.proc
	kind, dev := r.fdKind(t.pid, fd)
	ptrace.Write(t.tid, p.calls.img.FDs+uint64(fd), []byte{kind})
	if n := len(p.devs); dev != 0 && n < inject.MaxDevs && !slices.Contains(p.devs, dev) {
		if ptrace.WriteU64(t.tid, p.calls.img.Devs+8*uint64(n), dev) == nil {
			p.devs = append(slices.Clip(p.devs), dev)
		}
	}
}

// fdKind is what inject.CallsArea says of a descriptor, and the device that
// the file is on.
func (r *recorder) fdKind(pid, fd int) (kind byte, dev uint64) {
	name := fmt.Sprintf("/proc/%d/fd/%d", pid, fd)
	var st unix.Stat_t
	if unix.Stat(name, &st) != nil {
		return 0, 0
	}
	out := r.outKind(name)
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFIFO && out != 0:
		return inject.FDWrite | inject.FDPipe | out, 0
	case st.Mode&unix.S_IFMT == unix.S_IFIFO:
		return inject.FDRead | inject.FDWrite | inject.FDTry, 0
	case st.Mode&unix.S_IFMT == unix.S_IFSOCK && out == 0:
		return inject.FDRead | inject.FDWrite | inject.FDTry | inject.FDSocket | r.streams.kind(pid, fd, st.Ino), 0
	case st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == devNull:
		return inject.FDRead | inject.FDWrite | out, 0
	case st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == devMaster && out == 0:
		return inject.FDMaster, 0
	case st.Mode&unix.S_IFMT != unix.S_IFREG || !r.isLocal(name, st.Dev):
		return 0, 0
	case r.quiet.files[objectKey{st.Dev, st.Ino}] != nil:
		return inject.FDRead, st.Dev
	}
	return inject.FDRead | inject.FDWrite | out, st.Dev
}

// null(4), and pts(4): the master of a terminal is of the latter, whatever its name.
var devNull, devMaster = unix.Mkdev(1, 3), unix.Mkdev(5, 2)

// outKind says whether a descriptor is the command's own output.
func (r *recorder) outKind(name string) byte {
	switch id, _ := os.Readlink(name); r.outputOf(id, 0) {
	case recording.OutStdout:
		return inject.FDStdout
	case recording.OutStderr:
		return inject.FDStderr
	}
	return 0
}

// nowShown takes a file, which a process has begun to show in memory that it shares,
// and all others on its device from the descriptors that need no stop: what is read
// there may need the turn of another process, and what is written it has to see.
func (r *recorder) nowShown(dev uint64) {
	if local, ok := r.localDevs[dev]; ok && !local {
		return
	}
	r.localDevs[dev] = false
	for _, p := range r.processes {
		if p.mode != modeRecord || p.calls == nil {
			continue
		}
		for _, t := range p.tasks {
			if !t.dead && p.forgetFiles(t.tid, dev) == nil {
				break
			}
		}
	}
}

// forgetFiles takes the files on a device, which tid can reach the memory with, from the
// descriptors that need no stop. Which those are the map does not say: pipes and sockets
// are left.
func (p *process) forgetFiles(tid int, dev uint64) error {
	img := p.calls.img
	var kinds [inject.CallFDs]byte
	var spans []ptrace.Span
	if i := slices.Index(p.devs, dev); i >= 0 {
		spans = append(spans, ptrace.Span{Addr: img.Devs + 8*uint64(i), Data: make([]byte, 8)})
	}
	if err := (ptrace.Mem)(tid).ReadAt(kinds[:], img.FDs); err != nil {
		return err
	}
	for fd, kind := range kinds {
		if kind != 0 && kind&(inject.FDTry|inject.FDPipe) == 0 {
			spans = append(spans, ptrace.Span{Addr: img.FDs + uint64(fd), Data: []byte{0}})
		}
	}
	return ptrace.WriteV(tid, spans)
}

// isLocal says whether a file lies on one of the file systems of localFS, and
// nobody shows any of that device in shared memory.
func (r *recorder) isLocal(name string, dev uint64) bool {
	local, ok := r.localDevs[dev]
	if !ok {
		var fs unix.Statfs_t
		local = unix.Statfs(name, &fs) == nil && localFS[fs.Type]
		r.localDevs[dev] = local
	}
	return local
}
