package logview

import (
	"math"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// opDo is what an op does: a linux.Do, or one of these.
type opDo uint8

const (
	opStart opDo = 0x80 + iota // the process begins
	opChild                    // fd is the id of a process that was made
	opExec                     // the thread becomes another program, text
	opGone                     // the thread ends
	opEnd                      // the stream ends
	opReap                     // the end of child fd was fetched, arg is its status
)

// op is one operation on descriptors, or one that matters for them. A recording
// may hold millions, so what few of them need is apart.
type op struct {
	time     int64
	n, instr uint64
	tid      int32
	fd, last int32
	from     int32
	arg      uint32
	events   uint32
	do       opDo
	object   linux.Object
	cloexec  bool
	pair     bool // the first of two
	void     bool // its call failed
	shared   bool // of opChild: the child has its maker's descriptors; of opExec: the process ends by it
	borrows  bool // of opChild: and its memory, so that its events are in the same stream
	more     *opMore
}

type opMore struct {
	text  string // path, address, program
	via   int32
	pid   int32
	child *Child
	sum   sum
	lock  linux.Lock
	// Of what stands for itself (Channels): where and when it was entered. call marks
	// transfers.
	call    bool
	entered uint64
	began   int64
}

// sum is what went through a descriptor, one way, in one or more calls.
type sum struct {
	calls, bytes uint64
	first, last  Moment
	tx           transaction
}

// sumKey is one way of a descriptor in the table of the thread tid, 0 for
// the process's.
type sumKey struct {
	tid int32
	fd  int32
	do  linux.Do
}

// early are the operations that happen when their call is entered, since
// others can see their effect before it returns: a connection is accepted, a
// descriptor received or its number used again.
func early(do linux.Do) bool {
	return do == linux.DoConnect || do == linux.DoHand || do == linux.DoClose
}

// calls notes what a system call does with descriptors: one that returned,
// or one that is being entered.
func (sc *scan) calls(n uint64, enter, ev *recording.Event, returned bool) {
	if !linux.HasEffects(int(enter.Nr)) {
		return
	}
	d := sc.result(enter, ev)
	if !returned {
		d.Ret, d.Read = 0, nil
	}
	delete(sc.begun, ev.TID)
	sc.effs = linux.Effects(d, sc.effs[:0])
	for i := range sc.effs {
		e := &sc.effs[i]
		if returned || early(e.Do) {
			if k := sc.effect(n, ev, e, d.In); !returned && k >= 0 {
				sc.begun[ev.TID] = append(sc.begun[ev.TID], k)
			}
		}
	}
}

// returned notes what a call did that was entered by an event before.
func (sc *scan) returned(n uint64, enter, ev *recording.Event) {
	if !linux.HasEffects(int(enter.Nr)) {
		return
	}
	sc.effs = linux.Effects(sc.result(enter, ev), sc.effs[:0])
	did := false
	for i := range sc.effs {
		e := &sc.effs[i]
		if early(e.Do) && enter.Kind == recording.KindEnter {
			did = true
			continue
		}
		sc.effect(n, ev, e, enter.In)
	}
	if !did {
		for _, k := range sc.begun[ev.TID] {
			sc.ops[k].void = true
		}
	}
	delete(sc.begun, ev.TID)
}

// effect notes one effect of a call and returns its index in ops, -1 where it
// was added to one before.
func (sc *scan) effect(n uint64, ev *recording.Event, e *linux.Effect, in []byte) int {
	if e.Do == linux.DoRead || e.Do == linux.DoWrite {
		return sc.transfer(n, ev, e)
	}
	if e.Do == linux.DoSend && sc.sentAgain(ev, e) {
		return -1
	}
	o := op{do: opDo(e.Do), object: e.Object, cloexec: e.Cloexec, pair: e.Pair,
		fd: clamp(e.FD), last: clamp(e.Last), from: clamp(e.From), arg: e.Arg, events: e.Events}
	switch {
	case e.Do == linux.DoOpen && (e.Object == linux.ObjFile || e.Object == linux.ObjMemFD || e.Object == linux.ObjMqueue):
		o.more = &opMore{text: cString(in)}
	case e.PID != 0 || e.Via != 0:
		o.more = &opMore{pid: clamp(e.PID), via: clamp(e.Via)}
	case e.Lock.Owner > linux.LockOfFile:
		o.more = &opMore{lock: e.Lock}
	case len(e.Addr) > 0:
		o.more = &opMore{text: linux.SockText(e.Addr)}
	}
	if sc.channels != nil && (e.Do == linux.DoLock || e.Do == linux.DoClose) {
		if o.more == nil {
			o.more = &opMore{}
		}
		o.more.entered, o.more.began = sc.entered, sc.began
	}
	switch e.Do {
	case linux.DoConnect, linux.DoName, linux.DoPeer, linux.DoLock, linux.DoWatch, linux.DoBind, linux.DoListen, linux.DoShut, linux.DoHand, linux.DoSend:
		// These leave the numbers as they are.
	default:
		if o.fd != o.last && e.Do != linux.DoOpen && e.Do != linux.DoAccept && e.Do != linux.DoCopy || e.Do == linux.DoFork {
			clear(sc.sums)
			clear(sc.sentTo)
			break
		}
		key := sumKey{tid: sc.tableOf(ev.TID), fd: o.fd, do: linux.DoRead}
		delete(sc.sums, key)
		key.do = linux.DoWrite
		delete(sc.sums, key)
		key.do = linux.DoSend
		delete(sc.sentTo, key)
	}
	return sc.op(n, ev, o)
}

// transfer adds up what went through a descriptor as long as it stands for the
// same open file.
func (sc *scan) transfer(n uint64, ev *recording.Event, e *linux.Effect) int {
	if k, ok := sc.single(n, ev, e); ok {
		return k
	}
	key := sumKey{tid: sc.tableOf(ev.TID), fd: clamp(e.FD), do: e.Do}
	m := sc.moment(n, ev)
	if i, ok := sc.sums[key]; ok {
		s := &sc.ops[i].more.sum
		s.calls++
		s.bytes += e.Bytes
		s.last = m
		if e.Do == linux.DoRead {
			s.tx.learn(ev, m)
		}
		return -1
	}
	more := &opMore{sum: sum{calls: 1, bytes: e.Bytes, first: m, last: m}}
	if e.Do == linux.DoRead {
		more.sum.tx.learn(ev, m)
	}
	k := sc.op(n, ev, op{do: opDo(e.Do), fd: clamp(e.FD), more: more})
	if k >= 0 {
		sc.sums[key] = k
	}
	return k
}

// sentAgain says whether the last datagram from a descriptor went to the same address.
func (sc *scan) sentAgain(ev *recording.Event, e *linux.Effect) bool {
	key := sumKey{tid: sc.tableOf(ev.TID), fd: clamp(e.FD), do: e.Do}
	to := string(e.Addr)
	if sc.sentTo[key] == to {
		return true
	}
	sc.sentTo[key] = to
	return false
}

// tableOf is the thread's id where it has descriptors of its own, else 0.
func (sc *scan) tableOf(tid int32) int32 {
	if t := sc.f.Threads[tid]; t != nil && t.PID != sc.p.PID {
		return tid
	}
	return 0
}

// op appends an operation and returns its index, -1 where there were too many.
func (sc *scan) op(n uint64, ev *recording.Event, o op) int {
	if sc.nops >= maxOps {
		sc.s.Partial = true
		return -1
	}
	sc.nops++
	if o.do >= opStart && o.do != opReap {
		clear(sc.sums)
		clear(sc.sentTo)
	}
	o.time, o.n, o.instr, o.tid = ev.Time, n, ev.Instr, ev.TID
	if o.do < opStart && !early(linux.Do(o.do)) {
		o.time = max(o.time, ev.EndTime)
	}
	sc.ops = append(sc.ops, o)
	return len(sc.ops) - 1
}

func clamp(n int) int32 { return int32(min(max(n, -1), math.MaxInt32)) }

// cString is a string as the kernel keeps one.
func cString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
