package recording

import "errors"

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
	most := int64(freeEvents)
	for _, id := range r.streams {
		if src, err := r.lookup(streamName(id)); err == nil {
			most += mostPerByte * min(src.size, 1<<40)
			src.Close()
		}
	}
	return most
}

// ErrManyEvents says that the events of a recording take more than EventMemory.
var ErrManyEvents = errors.New("it unpacks to more events than any recorder writes into a file of its size: who made it means to fill memory")
