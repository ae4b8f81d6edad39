package page

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"pyrr/internal/recording"
	unix "pyrr/internal/sys"
)

// object is memory that processes share: a file, by its inode where that was asked for,
// else by its path, or what a fork shares with its maker and has no name.
type object struct {
	path     string
	dev, ino uint64
}

// span is a mapping of an object into a process, from an event to another one.
type span struct {
	from, to, off  uint64
	obj            *object
	made, unmapped uint64
}

// shares follows which memory of a process is shared. sem_open(3), which a semaphore of
// multiprocessing is made or found by, opens a file, maps it, asks for its inode and
// closes it: so each process has it at an address of its own.
type shares struct {
	fds   map[int64]*object // what was opened, by its descriptor
	spans []span
}

// sharedMemory is what is known of the memory of all processes, and of its words that
// they waited at.
type sharedMemory struct {
	of    []*shares // by process
	words map[word]*sharedWord
}

// Bounds of what is followed of one process.
const (
	maxSpans   = 1000
	maxObjects = 10_000
	maxWords   = 10_000
)

// sharesOf begins to follow a process. One that was forked has what its maker had.
func (w *walk) sharesOf(info *recording.Proc) *shares {
	s := &shares{fds: map[int64]*object{}}
	for i := range w.memory.of {
		if info.Fork && w.procs[i].ID == info.Parent {
			for _, m := range w.memory.of[i].spans {
				if m.made <= info.ParentEvent && (m.unmapped == 0 || m.unmapped > info.ParentEvent) {
					m.made, m.unmapped = 0, 0
					s.spans = append(s.spans, m)
				}
			}
		}
	}
	w.memory.of = append(w.memory.of, s)
	return s
}

// image takes what is mapped where a process begins.
func (s *shares) image(ev *recording.Event) {
	if ev.Kind != recording.KindStart {
		return
	}
	for i := range ev.Maps {
		if m := &ev.Maps[i]; m.Shared && m.Name != "" && len(s.spans) < maxSpans {
			path, _, _ := bytes.Cut([]byte(m.Name), []byte(" (deleted)"))
			s.spans = append(s.spans, span{from: m.Start, to: m.End, off: m.Offset, obj: &object{path: string(path)}})
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

// call follows a call that returned at event n.
func (s *shares) call(n uint64, enter, exit *recording.Event) {
	if failed(exit.Ret) {
		return
	}
	fd := int64(int32(enter.Args[0]))
	switch enter.Nr {
	case unix.SYS_OPENAT:
		if len(s.fds) < maxObjects {
			path, _, _ := bytes.Cut(enter.In, []byte{0})
			s.fds[exit.Ret] = &object{path: string(path)}
		}
	case unix.SYS_CLOSE:
		delete(s.fds, fd)
	case unix.SYS_DUP2:
		delete(s.fds, exit.Ret)
	case unix.SYS_FSTAT:
		s.stat(fd, exit.Written(enter.Args[1], 16))
	case unix.SYS_NEWFSTATAT:
		if enter.Args[3]&atEmptyPath != 0 {
			s.stat(fd, exit.Written(enter.Args[2], 16))
		}
	case unix.SYS_MMAP:
		s.mapped(n, enter, uint64(exit.Ret))
	case unix.SYS_MUNMAP:
		s.unmapped(n, enter.Args[0], enter.Args[0]+enter.Args[1])
	}
}

// stat takes device and inode: the first two words of struct stat.
func (s *shares) stat(fd int64, b []byte) {
	if o := s.fds[fd]; o != nil && len(b) >= 16 {
		o.dev, o.ino = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	}
}

func (s *shares) mapped(n uint64, enter *recording.Event, at uint64) {
	s.unmapped(n, at, at+enter.Args[1])
	if kind := enter.Args[3] & mapTypes; kind == mapPrivate || kind&mapShared == 0 || len(s.spans) >= maxSpans {
		return
	}
	m := span{from: at, to: at + enter.Args[1], off: enter.Args[5], obj: &object{}, made: n}
	if enter.Args[3]&mapAnonymous == 0 {
		o := s.fds[int64(int32(enter.Args[4]))]
		if o == nil {
			return
		}
		m.obj = o
	}
	s.spans = append(s.spans, m)
}

func (s *shares) unmapped(n, from, to uint64) {
	for i := range s.spans {
		if m := &s.spans[i]; m.unmapped == 0 && m.from < to && from < m.to {
			m.unmapped = max(1, n)
		}
	}
}

// word is a word of shared memory: by its place in an object, or, where that is not
// known, by its address, which is the same in those that a fork made.
type word struct {
	obj *object
	at  uint64
}

func (s *shares) word(addr uint64) word {
	for i := len(s.spans) - 1; i >= 0; i-- {
		if m := &s.spans[i]; m.unmapped == 0 && addr >= m.from && addr < m.to {
			return word{m.obj, m.off + addr - m.from}
		}
	}
	return word{nil, addr}
}

// sharedWord are the calls on a futex that processes share.
type sharedWord struct{ wakes, waits []touch }

// shared notes a call on a futex that is not private to its process: a semaphore of
// multiprocessing, say.
func (r *reader) shared(l int32, n uint64, enter, exit *recording.Event) {
	at := r.shares.word(enter.Args[0])
	s := r.memory.words[at]
	if s == nil {
		if len(r.memory.words) >= maxWords {
			return
		}
		s = &sharedWord{}
		r.memory.words[at] = s
	}
	t := touch{event{r.proc, n}, l, enter.Time, max(exit.Time, exit.EndTime)}
	switch {
	case len(s.wakes)+len(s.waits) >= maxWakes:
	case isWait(enter):
		s.waits = append(s.waits, t)
	case exit.Ret > 0:
		s.wakes = append(s.wakes, t)
	}
}

// identity is what objects have in common that are one: the same inode, or the same path.
type identity struct {
	dev, ino uint64
	path     string
	obj      *object // of what has neither
	at       uint64
}

// joinWords draws the arrows between threads and processes that share futexes.
func (w *walk) joinWords() {
	inode := map[string]*object{} // by path
	for at := range w.memory.words {
		if o := at.obj; o != nil && o.ino != 0 && o.path != "" {
			inode[o.path] = o
		}
	}
	all := map[identity]*sharedWord{}
	for at, s := range w.memory.words {
		id := identity{obj: at.obj, at: at.at}
		if o := at.obj; o != nil && (o.ino != 0 || o.path != "") {
			if same := inode[o.path]; o.ino == 0 && same != nil {
				o = same
			}
			if id.obj, id.dev, id.ino = nil, o.dev, o.ino; o.ino == 0 {
				id.path = o.path
			}
		}
		if all[id] == nil {
			all[id] = &sharedWord{}
		}
		all[id].wakes = append(all[id].wakes, s.wakes...)
		all[id].waits = append(all[id].waits, s.waits...)
	}
	words := make([]*sharedWord, 0, len(all))
	for _, s := range all {
		byTime(s.wakes)
		byTime(s.waits)
		if len(s.waits) > 0 {
			words = append(words, s)
		}
	}
	// In the order of time, so that a page is made the same twice, whatever is left out.
	slices.SortFunc(words, func(a, b *sharedWord) int {
		x, y := &a.waits[0], &b.waits[0]
		return cmp.Or(cmp.Compare(x.from, y.from), cmp.Compare(x.proc, y.proc), cmp.Compare(x.n, y.n))
	})
	for _, s := range words {
		for i := range s.waits {
			w.join(&s.waits[i], s.wakes)
		}
	}
}
