package recording

import (
	"encoding/binary"
	"errors"
	"sync"
)

func appendUvarint2(b []byte, x, y uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, x), y)
}

// job is one write for the background goroutine: a chunk to be compressed,
// or a line of the index of files.
type job struct {
	name string
	head chunkHeader
	raw  []byte
	line bool
	// image: it is not an event of the run, and not counted as one.
	image bool
	join  *Stream // see Settle
}

// queue hands jobs to the background goroutine, in order. Who puts waits
// while more than maxQueue bytes are under way, or maxImages of images.
type queue struct {
	mu     sync.Mutex
	ready  sync.Cond // there is a job, or work for the store, or the end
	room   sync.Cond // there are fewer bytes under way
	jobs   []job
	at     int // jobs[:at] are taken
	bytes  int // of jobs waiting and in work
	images int // of those, what is not an event of the run
	poked  bool
	closed bool
	free   [][]byte // buffers to be used again
}

func (q *queue) init() {
	q.ready.L, q.room.L = &q.mu, &q.mu
}

// buffer returns an empty buffer for a chunk. A stream's first begins small: most streams
// have no second.
func (q *queue) buffer(first bool) []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := len(q.free); n > 0 {
		b := q.free[n-1]
		q.free = q.free[:n-1]
		return b
	}
	if first {
		return make([]byte, 0, chunkTarget/16)
	}
	return make([]byte, 0, chunkBuffer)
}

// put adds a job. While the queue is full it waits, unless failed says that
// the writer has failed.
func (q *queue) put(j job, failed func() error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.crowded(j) && failed() == nil {
		q.room.Wait()
	}
	if q.closed {
		return
	}
	if q.at > 0 && len(q.jobs) == cap(q.jobs) {
		n := copy(q.jobs, q.jobs[q.at:])
		clear(q.jobs[n:])
		q.jobs, q.at = q.jobs[:n], 0
	}
	q.jobs = append(q.jobs, j)
	q.bytes += len(j.raw)
	if j.image {
		q.images += len(j.raw)
	}
	q.ready.Signal()
}

// putLine adds a short job without waiting.
func (q *queue) putLine(j job) {
	q.put(j, func() error { return errNoWait })
}

var errNoWait = errors.New("does not wait")

func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.at == len(q.jobs)
}

// ending says that close was called.
func (q *queue) ending() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

func (q *queue) full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes >= maxQueue
}

// crowded says that there is no room for a job; q.mu is held.
func (q *queue) crowded(j job) bool {
	n := len(j.raw)
	return q.bytes > 0 && q.bytes+n > maxQueue || j.image && q.images > 0 && q.images+n > maxImages
}

// get takes the next job, without waiting.
func (q *queue) get() (job, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.at == len(q.jobs) {
		return job{}, false
	}
	j := q.jobs[q.at]
	q.jobs[q.at] = job{}
	q.at++
	if q.at == len(q.jobs) {
		q.jobs, q.at = q.jobs[:0], 0
	}
	return j, true
}

// finish says that a job's bytes are no longer needed.
func (q *queue) finish(j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	raw := j.raw
	q.bytes -= len(raw)
	if j.image {
		q.images -= len(raw)
	}
	if cap(raw) >= chunkBuffer && cap(raw) <= 2*chunkTarget && len(q.free) < 8 {
		q.free = append(q.free, raw[:0])
	}
	q.room.Broadcast()
}

// wait waits for a job or a poke; end says that none will come any more.
func (q *queue) wait() (end bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.at == len(q.jobs) && !q.poked {
		if q.closed {
			return true
		}
		q.ready.Wait()
	}
	q.poked = false
	return false
}

// poke makes wait return: there is something else to do.
func (q *queue) poke() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.poked = true
	q.ready.Signal()
}

// wake lets those waiting for room look at the writer's error.
func (q *queue) wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.room.Broadcast()
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.ready.Signal()
}
