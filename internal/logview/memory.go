package logview

import (
	"bytes"
	"encoding/binary"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
	unix "pyrr/internal/sys"
)

// Object is memory that processes share: a file, by its inode where that was asked for,
// else by its path, or what a fork shares with its maker and has no name.
type Object struct {
	Path     string
	Dev, Ino uint64
}

// span is a mapping of an object into a process, from an event to another one.
type span struct {
	from, to, off  uint64
	obj            *Object
	made, unmapped uint64
}

// Memory follows which memory of a process is shared, event by event. sem_open(3), which
// a semaphore of multiprocessing is made or found by, opens a file, maps it, asks for its
// inode and closes it: so each process has it at an address of its own.
type Memory struct {
	fds   map[int]*Object // what was opened, by its descriptor
	spans []span
	effs  []linux.Effect
}

// Bounds of what is followed of the memory of one process.
const (
	maxSpans   = 1000
	maxObjects = 10_000
)

// NewMemory begins to follow a process. One that was forked has what its maker had; maker
// is nil where that is not known.
func NewMemory(info *recording.Process, maker *Memory) *Memory {
	s := &Memory{fds: map[int]*Object{}}
	if !info.Fork || maker == nil {
		return s
	}
	for _, m := range maker.spans {
		if m.made <= info.ParentEvent && (m.unmapped == 0 || m.unmapped > info.ParentEvent) {
			m.made, m.unmapped = 0, 0
			s.spans = append(s.spans, m)
		}
	}
	return s
}

// Take takes event n, of which the process that is followed says step.
func (s *Memory) Take(n uint64, ev *recording.Event, step *Step) {
	if ev.Kind == recording.KindStart {
		s.image(ev)
	}
	d := step.Done(ev)
	if d == nil || ev.Kind != recording.KindSyscall && ev.Kind != recording.KindExit {
		return
	}
	if linux.HasEffects(d.Nr) {
		s.effs = linux.Effects(d, s.effs[:0])
		for i := range s.effs {
			s.effect(&s.effs[i], d)
		}
	}
	if d.Ret >= 0 || d.Ret < -4095 {
		s.call(n, d)
	}
}

// image takes what is mapped where a process begins.
func (s *Memory) image(ev *recording.Event) {
	for i := range ev.Maps {
		if m := &ev.Maps[i]; m.Shared && m.Name != "" && len(s.spans) < maxSpans {
			path, _, _ := bytes.Cut([]byte(m.Name), []byte(" (deleted)"))
			s.spans = append(s.spans, span{from: m.Start, to: m.End, off: m.Offset, obj: &Object{Path: string(path)}})
		}
	}
}

// effect follows what a call did with descriptors.
func (s *Memory) effect(e *linux.Effect, d *linux.Done) {
	switch e.Do {
	case linux.DoOpen, linux.DoCopy, linux.DoAccept, linux.DoTake, linux.DoSteal:
		from := s.fds[e.From]
		delete(s.fds, e.FD)
		switch {
		case len(s.fds) >= maxObjects:
		case e.Do == linux.DoCopy && from != nil:
			s.fds[e.FD] = from
		case e.Do == linux.DoOpen && (e.Object == linux.ObjFile || e.Object == linux.ObjMemFD):
			s.fds[e.FD] = &Object{}
			if e.Object == linux.ObjFile {
				s.fds[e.FD].Path = cString(d.In)
			}
		}
	case linux.DoClose:
		if e.FD == e.Last {
			delete(s.fds, e.FD)
			return
		}
		for fd := range s.fds {
			if fd >= e.FD && fd <= e.Last {
				delete(s.fds, fd)
			}
		}
	}
}

// Arguments of mmap(2) and newfstatat(2).
const (
	mapShared    = 1
	mapTypes     = 0xf
	mapAnonymous = 0x20
	mapPrivate   = 2
	atEmptyPath  = 0x1000
)

// call follows a call that returned well at event n.
func (s *Memory) call(n uint64, d *linux.Done) {
	switch d.Nr {
	case unix.SYS_FSTAT:
		s.stat(d, d.Args[1])
	case unix.SYS_NEWFSTATAT:
		if d.Args[3]&atEmptyPath != 0 {
			s.stat(d, d.Args[2])
		}
	case unix.SYS_MMAP:
		s.mapped(n, d)
	case unix.SYS_MREMAP:
		s.moved(n, d)
	case unix.SYS_MUNMAP:
		s.unmapped(n, d.Args[0], d.Args[0]+d.Args[1])
	}
}

// stat takes device and inode: the first two words of struct stat.
func (s *Memory) stat(d *linux.Done, at uint64) {
	if o := s.fds[int(int32(d.Args[0]))]; o != nil && d.Read != nil {
		if b := d.Read(at, 16); len(b) >= 16 {
			o.Dev, o.Ino = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		}
	}
}

func (s *Memory) mapped(n uint64, d *linux.Done) {
	at, size, flags := uint64(d.Ret), d.Args[1], d.Args[3]
	s.unmapped(n, at, at+size)
	if kind := flags & mapTypes; kind == mapPrivate || kind&mapShared == 0 || len(s.spans) >= maxSpans {
		return
	}
	m := span{from: at, to: at + size, off: d.Args[5], obj: &Object{}, made: n}
	if flags&mapAnonymous == 0 {
		o := s.fds[int(int32(d.Args[4]))]
		if o == nil {
			return
		}
		m.obj = o
	}
	s.spans = append(s.spans, m)
}

// moved follows mremap(2): the object is where it returned, from the same place on.
func (s *Memory) moved(n uint64, d *linux.Done) {
	old, to := d.Args[0], uint64(d.Ret)
	for i := range s.spans {
		if m := s.spans[i]; m.unmapped == 0 && old >= m.from && old < m.to {
			s.unmapped(n, old, old+d.Args[1])
			s.unmapped(n, to, to+d.Args[2])
			if len(s.spans) < maxSpans {
				s.spans = append(s.spans, span{from: to, to: to + d.Args[2], off: m.off + old - m.from, obj: m.obj, made: n})
			}
			return
		}
	}
	s.unmapped(n, to, to+d.Args[2])
}

func (s *Memory) unmapped(n, from, to uint64) {
	for i := range s.spans {
		if m := &s.spans[i]; m.unmapped == 0 && m.from < to && from < m.to {
			m.unmapped = max(1, n)
		}
	}
}

// Word is a word of shared memory: by its place in an object, or, where that is not
// known, by its address, which is the same in those that a fork made.
type Word struct {
	Object *Object
	At     uint64
}

// Word says what lies at an address now.
func (s *Memory) Word(addr uint64) Word {
	for i := len(s.spans) - 1; i >= 0; i-- {
		if m := &s.spans[i]; m.unmapped == 0 && addr >= m.from && addr < m.to {
			return Word{m.obj, m.off + addr - m.from}
		}
	}
	return Word{nil, addr}
}

// Words tells of which words of several processes are one: those of the same inode, or of
// the same path.
type Words struct{ inode map[string]*Object }

// NewWords makes one for words of objects of which everything is known by now.
func NewWords[T any](all map[Word]T) *Words {
	w := &Words{map[string]*Object{}}
	for at := range all {
		if o := at.Object; o != nil && o.Ino != 0 && o.Path != "" {
			w.inode[o.Path] = o
		}
	}
	return w
}

// Identity is equal for words that are one. It is good for comparing alone.
type Identity struct {
	dev, ino uint64
	path     string
	obj      *Object // of what has neither
	at       uint64
}

// Of is the identity of a word.
func (w *Words) Of(at Word) Identity {
	o := at.Object
	if o == nil || o.Ino == 0 && o.Path == "" {
		return Identity{obj: o, at: at.At}
	}
	if same := w.inode[o.Path]; o.Ino == 0 && same != nil {
		o = same
	}
	if o.Ino != 0 {
		return Identity{dev: o.Dev, ino: o.Ino, at: at.At}
	}
	return Identity{path: o.Path, at: at.At}
}
