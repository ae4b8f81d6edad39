package recording

import (
	"errors"
	"fmt"
	"unsafe"
)

// What the entries of an index take in memory, about: a frame both as it is read and
// as it is given out.
const (
	textCost  = 24
	frameCost = 256
	nodeCost  = 16
	nameCost  = 96
)

// A member may take freeIndex, or freeSources, and mostUnpacked times what it has on the
// disk. What is honest packs to a twentieth at most, beyond what is small anyway.
const (
	freeIndex    = 64 << 20
	freeSources  = 16 << 20
	mostUnpacked = 100
)

// mayUnpack is how many bytes a member may take in memory.
func (r *Recording) mayUnpack(name string, free int64) int64 {
	src, err := r.lookup(name)
	if err != nil {
		return free
	}
	defer src.Close()
	return free + mostUnpacked*min(src.size, 1<<40)
}

// spend takes memory for n entries of an index, and the bytes of their texts.
func (d *indexDecoder) spend(n, cost, bytes int) error {
	if d.budget -= int64(n)*int64(cost) + int64(bytes); d.budget < 0 {
		return errOverlong
	}
	return nil
}

// The events of a recording may take freeEvents, and mostPerByte for each byte that they
// have on the disk. What a recorder writes has the times of each event, which hardly
// pack: four bytes an event at the least.
const (
	freeEvents  = 64 << 20
	mostPerByte = 300
)

// EventMemory is how many bytes of memory who holds all events may take: a small file
// may unpack to more of them than fit.
func (r *Recording) EventMemory() int64 {
	return freeEvents + mostPerByte*r.streamSize()
}

// streamSize is how many bytes the events have on the disk.
func (r *Recording) streamSize() (n int64) {
	for _, id := range r.streams {
		if src, err := r.lookup(streamName(id)); err == nil {
			n += min(src.size, 1<<40)
			src.Close()
		}
	}
	return n
}

// ErrManyEvents says that the events of a recording take more than EventMemory.
var ErrManyEvents = errors.New("it unpacks to more events than any recorder writes into a file of its size: who made it means to fill memory")

// What is large in the events beside their data (texts, arguments, mappings, descriptors)
// may take freeHeads, and headsPerByte for each byte on the disk: whoever reads keeps
// some of it, such as the arguments of all processes. Lists of paths pack to a tenth.
const (
	freeHeads    = 48 << 20
	headsPerByte = 30
	smallHead    = 1 << 10 // which costs nothing
)

// heads is what the events of a recording took so far, beside their data.
type heads struct {
	most  int64         // 0: not known yet
	spent map[int]int64 // by stream: as far as it was read
	all   int64
}

// headCost is what an event takes in memory beside its data, about; head is the length
// of its encoding. The extended state and clocks, of which nobody keeps many, are free.
func headCost(ev *Event, head uint64) int64 {
	if head < smallHead {
		return 0
	}
	n := int64(head) - int64(len(ev.XState)+len(ev.Readings)) + int64(len(ev.Maps))*int64(unsafe.Sizeof(Mapping{})) +
		int64(len(ev.Open))*int64(unsafe.Sizeof(OpenFD{})) + int64(len(ev.Mem))*int64(unsafe.Sizeof(Write{}))
	if p := ev.Proc; p != nil {
		n += int64(len(p.Argv)+len(p.Env)) * int64(unsafe.Sizeof(""))
	}
	return n
}

// spendHeads says that the events of a stream took n bytes up to here. Reading it again
// costs nothing more.
func (r *Recording) spendHeads(proc int, n int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := &r.heads
	if h.spent == nil {
		h.spent = map[int]int64{}
	}
	if n <= h.spent[proc] {
		return nil
	}
	h.all += n - h.spent[proc]
	h.spent[proc] = n
	if h.all <= freeHeads {
		return nil
	}
	if h.most == 0 {
		h.most = freeHeads + headsPerByte*r.streamSize()
	}
	if h.all > h.most {
		return fmt.Errorf("its events unpack to more than %d MiB of texts, mappings and descriptors, which no recorder writes into a file of its size: who made it means to fill memory", h.most>>20)
	}
	return nil
}
