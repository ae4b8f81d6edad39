package recording

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// Iter reads the events of one process in order.
type Iter struct {
	r      *Recording
	proc   int
	name   string
	src    content
	dec    *zstd.Decoder
	packed []byte

	off   int64  // where the next chunk begins
	seq   uint32 // its number
	next  uint64 // number of the next event
	ended bool   // KindEnd was given out
	last  deltas // thread, instructions and time of the last event
	err   error  // what every further call returns

	// The chunk in hand.
	at    int64 // where it begins
	rest  []byte
	left  uint32 // events in rest
	more  bool   // the last event goes on in the next chunk
	event decoder

	headOnly bool // leave out what the events' Mem holds
	brief    bool // leave out most of what is large
	used     used
}

// used is what reading took so far.
type used struct {
	garbage     int   // bytes unpacked since they were last collected
	heads, told int64 // of the budget for heads, and what of it was said
}

// Events returns an iterator over the events of the process procID.
func (r *Recording) Events(procID int) (*Iter, error) {
	name := streamName(procID)
	src, err := r.lookup(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("the recording has no process %d", procID)
		}
		return nil, err
	}
	dec, err := newDecoder()
	if err != nil {
		src.Close()
		return nil, err
	}
	return &Iter{r: r, proc: procID, name: name, src: src, dec: dec}, nil
}

// Procs returns the processes of the recording in the order of their IDs. A
// process of which no event made it to the disk is left out.
func (r *Recording) Procs() ([]Process, error) {
	var procs []Process
	for _, id := range r.streams {
		it, err := r.Events(id)
		if err != nil {
			return procs, err
		}
		it.headOnly = true
		var ev Event
		err = it.Next(&ev)
		it.Close()
		if err != nil {
			return procs, err
		}
		if ev.Kind == KindStart && r.led(ev.Proc, procs) {
			procs = append(procs, *ev.Proc)
		}
	}
	return procs, nil
}

// led says whether what was flushed leads to a process: of a killed recorder the
// stream of a fork may have come to the disk before the call that made it.
func (r *Recording) led(p *Process, before []Process) bool {
	if !p.Fork || r.finished() {
		return true
	}
	for i := range before {
		if before[i].ID == p.Parent {
			n, err := r.whole(p.Parent)
			return err != nil || n > p.ParentEvent // what is damaged is told elsewhere
		}
	}
	return false
}

// whole counts the events of a stream, without reading them.
func (r *Recording) whole(procID int) (uint64, error) {
	src, err := r.lookup(streamName(procID))
	if err != nil {
		return 0, err
	}
	defer src.Close()
	var n uint64
	off, more := int64(0), false
	for seq := uint32(0); ; seq++ {
		h, _, err := readChunk(src, off, magicEvents, uint32(procID), seq, nil)
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
		n, more = max(n, h.first+uint64(h.count)), h.flags&flagMore != 0
		off += chunkHeaderSize + int64(h.packed)
	}
	if more && n > 0 {
		n-- // the last one is cut
	}
	return n, nil
}

// LastEvent returns the last event of a process, without its memory. What lies before its
// chunk is not decompressed.
func (r *Recording) LastEvent(procID int) (Event, error) {
	it, err := r.Events(procID)
	if err != nil {
		return Event{}, err
	}
	defer it.Close()
	it.Brief()
	if n, err := r.whole(procID); err == nil && n > 0 { // else Next says what is wrong
		if err := it.Seek(n - 1); err != nil {
			return Event{}, err
		}
	}
	for last := (Event{}); ; {
		var ev Event
		switch err := it.Next(&ev); {
		case errors.Is(err, io.EOF):
			return last, nil
		case err != nil:
			return last, err
		}
		last = ev
	}
}

// Number returns the number of the event that Next returns next.
func (it *Iter) Number() uint64 { return it.next }

// Seek moves on so that Next returns the event number n, as long as the
// stream has it. What lies between is not decompressed where whole chunks of
// it, or of one large event, can be passed over; it does not go back.
func (it *Iter) Seek(n uint64) error {
	for it.err == nil && it.left == 0 && len(it.rest) == 0 {
		h, _, err := readChunk(it.src, it.off, magicEvents, uint32(it.proc), it.seq, nil)
		if err != nil || h.first != it.next || h.count == 0 || h.flags&(flagMore|flagRest) != 0 || h.first+uint64(h.count) > n {
			break // Next deals with it
		}
		it.off += chunkHeaderSize + int64(h.packed)
		it.seq++
		it.next += uint64(h.count)
	}
	brief := it.brief
	it.brief = true // nobody sees the memory of what lies between, an image among it
	defer func() { it.brief = brief }()
	var ev Event
	for it.next < n {
		if err := it.Next(&ev); err != nil {
			return err
		}
	}
	return nil
}

// Close releases the iterator's memory and descriptor. The events that it
// gave out stay. At the end of the stream and at an error it happens by
// itself.
func (it *Iter) Close() {
	it.release()
	if it.err == nil {
		it.err = errors.New("the iterator is closed")
	}
}

func (it *Iter) release() {
	it.dec.Close()
	it.src.Close()
	it.rest, it.packed, it.event.slab = nil, nil, nil
}

// Next fills in ev with the next event. Its slices are parts of buffers that
// are never written again; they must not be written to. At the end of the
// stream it returns io.EOF, and a *DamagedError where it can't go on. A
// stream that was cut ends with a made-up KindEnd event (EndTruncated).
func (it *Iter) Next(ev *Event) error {
	if it.err != nil {
		return it.err
	}
	*ev = Event{}
	err := it.decode(ev)
	if err != nil {
		*ev = Event{}
		it.err = err
		it.release()
		if cut, ok := err.(*cutError); ok {
			*ev = Event{Kind: KindEnd, Why: EndTruncated, Text: cut.Error(), TID: it.last.tid, Instr: it.last.instr, Time: it.last.time}
			it.err = io.EOF
			it.next++
			return nil
		}
	}
	return err
}

// cutError says that the stream ends without KindEnd.
type cutError struct {
	name string
	off  int64
	next uint64
}

func (e *cutError) Error() string {
	return fmt.Sprintf("%s ends at byte %d, before event %d", e.name, e.off, e.next)
}

// damaged makes the error for a problem in the chunk at off.
func (it *Iter) damaged(off int64, err error) error {
	return &DamagedError{File: it.name, Offset: off, Event: it.next, Err: err}
}

// cut ends a stream without KindEnd.
func (it *Iter) cut() error {
	if sum, ok := it.r.Summary(); ok && !sum.Truncated {
		want, counted := sum.Streams[it.proc]
		if it.off != it.src.size || counted && it.next < want {
			return it.damaged(it.off, fmt.Errorf("the stream ends: %w", io.ErrUnexpectedEOF))
		}
	}
	return &cutError{it.name, it.off, it.next}
}

func (it *Iter) decode(ev *Event) error {
	if it.left == 0 {
		if len(it.rest) != 0 {
			return it.damaged(it.at, fmt.Errorf("%d bytes after the last event of the chunk", len(it.rest)))
		}
		h, raw, err := it.chunk()
		if err == io.EOF {
			if it.ended {
				return io.EOF
			}
			return it.cut()
		}
		if err != nil {
			return err
		}
		if it.ended {
			return it.damaged(it.at, errors.New("events after the end of the process"))
		}
		if h.flags&flagRest != 0 || h.count == 0 || h.first != it.next {
			return it.damaged(it.at, fmt.Errorf("chunk of %d events from %d on, where event %d has to be", h.count, h.first, it.next))
		}
		it.rest, it.left, it.more = raw, h.count, h.flags&flagMore != 0
		it.event = decoder{lens: it.event.lens}
	}
	headLen, n := binary.Uvarint(it.rest)
	dataLen, m := binary.Uvarint(it.rest[max(n, 0):])
	if n <= 0 || m <= 0 || headLen > maxHead || dataLen > maxData || headLen > uint64(len(it.rest)-n-m) {
		return it.damaged(it.at, errors.New("bad length of an event"))
	}
	head := it.rest[n+m:][:headLen]
	it.rest = it.rest[n+m+int(headLen):]
	it.left--
	want, err := it.event.decode(head, ev)
	if err != nil {
		return it.damaged(it.at, err)
	}
	if want != dataLen && !it.event.skipped {
		return it.damaged(it.at, fmt.Errorf("%s event: %d bytes of memory, not %d", ev.Kind, dataLen, want))
	}
	switch {
	case (it.next == 0) != (ev.Kind == KindStart):
		return it.damaged(it.at, fmt.Errorf("%s event", ev.Kind))
	case ev.Proc != nil && ev.Proc.ID != it.proc:
		return it.damaged(it.at, fmt.Errorf("start of process %d", ev.Proc.ID))
	}
	if err := it.spend(headCost(ev, headLen), ev.Proc != nil); err != nil {
		return it.damaged(it.at, err)
	}
	data, err := it.data(dataLen)
	if err != nil {
		return err
	}
	switch {
	case it.headOnly:
	case it.brief:
		it.cutShort(ev, data, dataLen)
	default:
		it.event.setData(ev, data)
	}
	it.next++
	it.last = deltas{tid: it.event.tid, instr: it.event.instr, time: it.event.time}
	if ev.Kind == KindEnd {
		it.ended = true
		if it.left != 0 {
			return it.damaged(it.at, errors.New("events after the end of the process"))
		}
	}
	return nil
}

// spend takes memory for an event beside its data; it says so now and then, and at once
// of what readers keep.
func (it *Iter) spend(n int64, kept bool) error {
	const seldom = 16 << 10
	if it.used.heads += n; !kept && it.used.heads-it.used.told < seldom {
		return nil
	}
	it.used.told = it.used.heads
	return it.r.spendHeads(it.proc, it.used.heads)
}

// data takes the n bytes of the event's data, from this chunk and, where it
// is the chunk's last event and goes on, the following.
func (it *Iter) data(n uint64) ([]byte, error) {
	if it.left > 0 || !it.more {
		if n > uint64(len(it.rest)) {
			return nil, it.damaged(it.at, errors.New("the event's memory reaches beyond the chunk"))
		}
		data := it.rest[:n:n]
		it.rest = it.rest[n:]
		return data, nil
	}
	if it.headOnly {
		it.err = io.EOF
		return nil, nil
	}
	if it.brief {
		data := it.rest
		it.rest = nil
		return data, it.skipRest(n - uint64(len(data)))
	}
	total, err := it.unpacked(uint64(len(it.rest)))
	if err != nil {
		return nil, err
	}
	data := append(make([]byte, 0, min(n, total)), it.rest...)
	it.rest = nil
	for it.more {
		h, raw, err := it.chunk()
		if err == io.EOF {
			return nil, it.cut()
		}
		if err != nil {
			return nil, err
		}
		if h.flags&flagRest == 0 || h.count != 0 || h.first != it.next+1 || uint64(len(data)+len(raw)) > n {
			return nil, it.damaged(it.at, errors.New("the chunk does not continue the event"))
		}
		data = append(data, raw...)
		it.more = h.flags&flagMore != 0
	}
	if uint64(len(data)) != n {
		return nil, it.damaged(it.at, fmt.Errorf("%d bytes of memory instead of %d", len(data), n))
	}
	return data, nil
}

// chunk reads the next chunk. At the end of the file, and where it ends in
// the middle of a chunk, it returns io.EOF.
func (it *Iter) chunk() (h chunkHeader, raw []byte, err error) {
	h, packed, err := readChunk(it.src, it.off, magicEvents, uint32(it.proc), it.seq, &it.packed)
	if err == io.EOF {
		return h, nil, err
	}
	if err == nil && h.flags&flagZero != 0 {
		err = errors.New("chunk of events without content")
	}
	if err == nil {
		raw, err = h.unpack(it.dec, packed)
	}
	if err != nil {
		return h, nil, it.damaged(it.off, err)
	}
	it.at = it.off
	it.off += chunkHeaderSize + int64(h.packed)
	it.seq++
	if it.used.garbage += len(raw); it.used.garbage > maxChunk {
		// Buffers of this size are seldom, and many of them together are too much before
		// the collector comes by itself.
		it.used.garbage = 0
		runtime.GC()
	}
	return h, raw, nil
}

// readChunk reads the chunk at off into buf. Where fewer bytes are left than
// the chunk has, it returns io.EOF.
func readChunk(src content, off int64, magic [4]byte, stream, seq uint32, buf *[]byte) (h chunkHeader, packed []byte, err error) {
	if src.size-off < chunkHeaderSize {
		return h, nil, io.EOF
	}
	var head [chunkHeaderSize]byte
	if _, err := src.ReadAt(head[:], off); err != nil {
		return h, nil, noEOF(err)
	}
	h, err = parseChunkHeader(head[:], magic, stream, seq)
	if err != nil {
		return h, nil, err
	}
	if src.size-off-chunkHeaderSize < int64(h.packed) {
		return h, nil, io.EOF
	}
	if buf == nil {
		return h, nil, nil
	}
	*buf = slices.Grow((*buf)[:0], int(h.packed))[:h.packed]
	if _, err := src.ReadAt(*buf, off+chunkHeaderSize); err != nil && (err != io.EOF || h.packed != 0) {
		return h, nil, noEOF(err)
	}
	return h, *buf, nil
}

// noEOF keeps an early end of a file apart from the end of the chunks.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
