package logview

import (
	"encoding/binary"
	"testing"

	"pyrr/internal/recording"
	unix "pyrr/internal/sys"
)

// remembered follows calls that return, without recordings.
type remembered struct {
	*Memory
	n uint64
}

func (r *remembered) call(ret int64, in string, mem []recording.Write, nr int, args ...uint64) {
	ev := &recording.Event{Kind: recording.KindSyscall, Nr: int32(nr), Ret: ret, In: []byte(in)}
	ev.Mem = mem
	copy(ev.Args[:], args)
	r.n++
	r.Take(r.n, ev, &Step{Enter: ev, EnterEvent: r.n})
}

func inode(at, dev, ino uint64) []recording.Write {
	return []recording.Write{{Addr: at, Data: binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, dev), ino)}}
}

// Words of a file are the same wherever it is mapped and however it was opened: by its
// inode, or by its path where that was not asked for.
func TestWordsOfSharedMemory(t *testing.T) {
	const size, dup, closeRange = 0x2000, 32, 436
	a := &remembered{Memory: NewMemory(&recording.Process{ID: 1}, nil)}
	a.call(3, "/dev/shm/sem.x\x00", nil, unix.SYS_OPENAT)
	a.call(4, "", nil, dup, 3)
	a.call(0, "", nil, unix.SYS_CLOSE, 3)
	a.call(0, "", inode(0x900, 7, 70), unix.SYS_FSTAT, 4, 0x900)
	a.call(0x10000, "", nil, unix.SYS_MMAP, 0, size, 3, mapShared, 4, 0x1000)
	a.call(0, "", nil, closeRange, 3, 100)
	a.call(0x30000, "", nil, unix.SYS_MMAP, 0, size, 3, mapShared, 4, 0) // it is closed
	a.call(0x40000, "", nil, unix.SYS_MMAP, 0, size, 3, mapShared|mapAnonymous, ^uint64(0), 0)
	a.call(0x50000, "", nil, unix.SYS_MMAP, 0, size, 3, mapPrivate|mapAnonymous, ^uint64(0), 0)

	b := &remembered{Memory: NewMemory(&recording.Process{ID: 2}, nil)}
	b.call(9, "/dev/shm/sem.x\x00", nil, unix.SYS_OPENAT)
	b.call(0x70000, "", nil, unix.SYS_MMAP, 0, size, 3, mapShared, 9, 0)
	b.call(0x80000, "", nil, unix.SYS_MREMAP, 0x71000, 0x1000, 2*size, 1)

	child := NewMemory(&recording.Process{ID: 3, Fork: true, ParentEvent: a.n}, a.Memory)
	a.call(0, "", nil, unix.SYS_MUNMAP, 0x40000, size)

	words := map[Word]bool{}
	for _, w := range []Word{a.Word(0x10008), b.Word(0x80008), child.Word(0x10008)} {
		words[w] = true
	}
	same := NewWords(words)
	first := same.Of(a.Word(0x10008))
	for name, w := range map[string]Word{"the other process, moved": b.Word(0x80008), "the fork": child.Word(0x10008)} {
		if got := same.Of(w); got != first {
			t.Errorf("%s: %+v, want %+v", name, got, first)
		}
	}
	for name, w := range map[string]Word{"another word": a.Word(0x10010), "one that was unmapped": b.Word(0x71008),
		"a mapping of a descriptor that was closed": a.Word(0x30008), "a private one": a.Word(0x50008)} {
		if same.Of(w) == first {
			t.Errorf("%s is the same", name)
		}
	}
	if child.Word(0x40008).Object == nil || a.Word(0x40008).Object != nil || a.Word(0x50008).Object != nil {
		t.Error("the fork keeps what its parent unmapped later, and private memory is not shared")
	}
}
