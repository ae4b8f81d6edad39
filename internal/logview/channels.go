package logview

import (
	"cmp"
	"slices"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// Transfer is a call that read or wrote something. Event is where it was entered, From
// and To are when it was and when it returned, in ns since the recording began.
type Transfer struct {
	Proc     int
	Event    uint64
	From, To int64
}

// Channel is one way through a pipe, a pair of sockets, a connection or an eventfd: what
// was written at one end, and read at the other, in order of time. Of a lock on a file
// Writes are the calls and ends that gave it back, Reads the calls that took it. Writes
// lie in the order of their beginnings, Reads too.
type Channel struct{ Writes, Reads []Transfer }

// Channels returns the ways in which the threads and processes of a recording told each
// other something, with most calls at most: of more, the first ones. At an error it
// returns what was read before.
func Channels(rec *recording.Recording, most int) ([]Channel, error) {
	c := &channels{most: most, reads: map[*File][]Transfer{}, writes: map[*File][]Transfer{}}
	_, err := readWith(rec, limit{time: 1<<63 - 1}, c)
	var out []Channel
	for f, w := range c.writes {
		other := f.Other
		if f.Kind == linux.ObjEventFD {
			other = f
		}
		if r := c.reads[other]; other != nil && len(r) > 0 {
			byTime(w)
			byTime(r)
			out = append(out, Channel{w, r})
		}
	}
	out = append(out, c.locks()...)
	slices.SortFunc(out, func(a, b Channel) int {
		x, y := &a.Writes[0], &b.Writes[0]
		return cmp.Or(cmp.Compare(x.From, y.From), cmp.Compare(x.Proc, y.Proc), cmp.Compare(x.Event, y.Event))
	})
	return out, err
}

func byTime(list []Transfer) {
	slices.SortStableFunc(list, func(a, b Transfer) int { return cmp.Compare(a.From, b.From) })
}

// channels gathers the transfers of open files, and the turns that locks on files took.
type channels struct {
	most          int
	reads, writes map[*File][]Transfer
	took, gave    []turn
}

// add takes an operation that read or wrote.
func (c *channels) add(f *File, o *op, proc int) {
	if !o.more.call {
		return // it sums up several
	}
	t := Transfer{proc, o.more.entered, o.more.began, o.time}
	if linux.Do(o.do) == linux.DoWrite {
		c.writes[f] = append(c.writes[f], t)
	} else {
		c.reads[f] = append(c.reads[f], t)
	}
}

// single notes a transfer as an operation of its own, as long as there is room: it
// reports whether it did.
func (sc *scan) single(n uint64, ev *recording.Event, e *linux.Effect) (int, bool) {
	if sc.channels == nil || sc.channels.most <= 0 || e.Bytes == 0 {
		return -1, false
	}
	sc.channels.most--
	m := sc.moment(n, ev)
	return sc.op(n, ev, op{do: opDo(e.Do), fd: clamp(e.FD),
		more: &opMore{call: true, entered: sc.entered, began: sc.began, sum: sum{calls: 1, bytes: e.Bytes, first: m, last: m}}}), true
}
