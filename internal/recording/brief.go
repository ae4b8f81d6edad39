package recording

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Of an event with more than mostBrief bytes a brief iterator keeps keptBrief, and so
// much of each other field.
const (
	mostBrief = 1 << 20
	keptBrief = 64 << 10
)

// Brief makes the iterator leave out most of what is large in an event, for who wants
// to know what happened, and not every byte: a small file may unpack to gigabytes.
func (it *Iter) Brief() { it.brief = true }

// unpacked is how many bytes an event has: have in this chunk, and those in the chunks that
// continue it, by what their headers say.
func (it *Iter) unpacked(have uint64) (uint64, error) {
	off, seq := it.off, it.seq
	for more := it.more; more; seq++ {
		h, _, err := readChunk(it.src, off, magicEvents, uint32(it.proc), seq, nil)
		if err == io.EOF {
			break // a cut stream
		}
		if err != nil {
			return 0, it.damaged(off, err)
		}
		have += uint64(h.raw)
		off += chunkHeaderSize + int64(h.packed)
		more = h.flags&flagMore != 0
	}
	return have, nil
}

// skipRest passes over the chunks that continue an event, with n bytes, without
// unpacking them.
func (it *Iter) skipRest(n uint64) error {
	for it.more {
		h, _, err := readChunk(it.src, it.off, magicEvents, uint32(it.proc), it.seq, nil)
		if err == io.EOF {
			return it.cut()
		}
		if err != nil {
			return it.damaged(it.off, err)
		}
		if h.flags&flagRest == 0 || h.count != 0 || h.first != it.next+1 || uint64(h.raw) > n {
			return it.damaged(it.off, errors.New("the chunk does not continue the event"))
		}
		n -= uint64(h.raw)
		it.off += chunkHeaderSize + int64(h.packed)
		it.seq++
		it.more = h.flags&flagMore != 0
	}
	if n != 0 {
		return it.damaged(it.at, fmt.Errorf("%d bytes of memory are missing", n))
	}
	return nil
}

// cutShort gives an event the beginning of its data, n bytes in all, and cuts its other
// fields. What it keeps of a large chunk are copies: a part of a buffer holds all of it.
func (it *Iter) cutShort(ev *Event, data []byte, n uint64) {
	if n > mostBrief {
		data = slices.Clone(data[:min(len(data), keptBrief)])
		ev.LeftOut = n - uint64(len(data))
	}
	for i := range ev.Mem {
		k := min(it.event.lens[i], uint64(len(data)))
		if k > 0 {
			ev.Mem[i].Data = data[:k:k]
		}
		data = data[k:]
	}
	for _, b := range []*[]byte{&ev.In, &ev.Readings, &ev.XState} {
		if len(*b) > keptBrief {
			*b = slices.Clone((*b)[:keptBrief])
		}
	}
	for _, s := range []*string{&ev.Why, &ev.Text} {
		if len(*s) > keptBrief {
			*s = strings.Clone((*s)[:keptBrief])
		}
	}
}
