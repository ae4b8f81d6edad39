package logview

import (
	"fmt"
	"slices"
	"strings"

	"pyrr/internal/linux"
)

// maxFiles bounds the open files that are told apart; maxRights the messages
// with descriptors that wait at a socket; maxWatched what an epoll watches.
const (
	maxFiles   = 1 << 20
	maxRights  = 1 << 10
	maxWatched = 1 << 16
)

// Kinds of sockets that connect (sys/socket.h).
const (
	sockStream    = 1
	sockSeqpacket = 5
	familyUnix    = 1
)

// right is a message with descriptors on its way.
type right struct {
	at    gate
	files []*File
}

func (m *merger) newFile(f File) *File {
	m.nfiles++
	f.Num = m.nfiles
	own := &f
	if len(m.files) >= 2*maxFiles {
		m.s.Partial = true
		return own
	}
	m.files = append(m.files, own)
	return own
}

// file returns what a descriptor stands for; one that was open before the
// recording begins is of the kind that its use shows.
func (m *merger) file(sc *scan, o *op, t *table, fd int32, kind linux.Object) *File {
	n := int(fd)
	d := t.fds[n]
	if d == nil {
		var f *File
		if t.old != nil && !t.gone[n] {
			f = t.old[n]
		}
		if f == nil {
			f = m.newFile(File{Inherited: true, Made: m.at(sc, o)})
			if t.old != nil && !t.gone[n] {
				t.old[n] = f
			}
		}
		d = &FD{Num: n, File: f, Since: f.Made}
		t.fds[n] = d
	}
	if d.File.Kind == linux.ObjUnknown {
		d.File.Kind = kind
	}
	return d.File
}

func (m *merger) put(sc *scan, o *op, t *table, f *File) {
	t.fds[int(o.fd)] = &FD{Num: int(o.fd), Cloexec: o.cloexec, File: f, Since: m.at(sc, o)}
}

// fdOp applies one operation on descriptors.
func (m *merger) fdOp(sc *scan, o *op) {
	t := m.table(sc, o.tid)
	switch linux.Do(o.do) {
	case linux.DoOpen:
		m.opened(sc, o, t)
	case linux.DoCopy:
		f := m.file(sc, o, t, o.from, linux.ObjUnknown)
		before := t.fds[int(o.fd)]
		if before != nil {
			m.unlock(sc, o, sc.p.PID, before.File)
		}
		m.put(sc, o, t, f)
		if before != nil {
			m.closed(sc, o, before.File)
		}
	case linux.DoClose:
		t.each(o, func(n int, d *FD) {
			m.unlock(sc, o, sc.p.PID, d.File)
			t.drop(n)
			m.closed(sc, o, d.File)
		})
		if o.fd == o.last {
			t.drop(int(o.fd))
		}
	case linux.DoKeep:
		if o.fd == o.last {
			m.file(sc, o, t, o.fd, linux.ObjUnknown)
		}
		t.each(o, func(_ int, d *FD) { d.Cloexec = o.cloexec })
	case linux.DoFork:
		if sc.p.tables == nil {
			sc.p.tables = map[int32]*table{}
		}
		sc.p.tables[o.tid] = t.clone()
	case linux.DoRead, linux.DoWrite:
		f := m.file(sc, o, t, o.fd, linux.ObjUnknown)
		way := &f.In
		if linux.Do(o.do) == linux.DoWrite {
			way = &f.Out
		}
		f.tx = f.tx.then(o.more.sum.tx)
		way.add(&o.more.sum)
		if m.channels != nil {
			m.channels.add(f, o, sc.p.ID)
		}
	case linux.DoWatch:
		m.watch(sc, o, t)
	case linux.DoTerminal:
		if len(m.terminals) < maxWatched {
			m.terminals[fmt.Sprintf("/dev/pts/%d", o.arg)] = m.file(sc, o, t, o.fd, linux.ObjFile)
		}
	case linux.DoLock:
		m.lock(sc, m.file(sc, o, t, o.fd, linux.ObjFile), o)
	case linux.DoHand:
		m.hand(m.file(sc, o, t, o.fd, linux.ObjSocket), m.file(sc, o, t, o.from, linux.ObjUnknown), gate{sc.p.ID, o.n})
	case linux.DoTake:
		f := m.take(m.file(sc, o, t, o.from, linux.ObjSocket), gate{sc.p.ID, o.n})
		if f == nil {
			f = m.newFile(File{Inherited: true, Made: m.at(sc, o)})
		}
		m.put(sc, o, t, f)
	case linux.DoSteal:
		m.put(sc, o, t, m.stolen(sc, o, t))
	default:
		m.socket(sc, o, t)
	}
}

// each calls f with the descriptors of a range.
func (t *table) each(o *op, f func(n int, d *FD)) {
	if o.fd == o.last {
		if d := t.fds[int(o.fd)]; d != nil {
			f(int(o.fd), d)
		}
		return
	}
	for n, d := range t.fds {
		if n >= int(o.fd) && n <= int(o.last) {
			f(n, d)
		}
	}
}

func (w *Traffic) add(s *sum) {
	if w.Calls == 0 || s.first.Time < w.First.Time {
		w.First = s.first
	}
	if w.Calls == 0 || s.last.Time >= w.Last.Time {
		w.Last = s.last
	}
	w.Calls += s.calls
	w.Bytes += s.bytes
}

func (m *merger) opened(sc *scan, o *op, t *table) {
	f := m.newFile(File{Kind: o.object, Made: m.at(sc, o)})
	if o.more != nil {
		f.Path, f.PID = o.more.text, int(o.more.pid)
	}
	if f.Kind == linux.ObjSocket {
		f.Domain, f.Type = o.arg, o.events
	}
	if f.Kind == linux.ObjFile {
		m.terminal(sc, o, t, f)
	}
	m.put(sc, o, t, f)
	if f.Kind != linux.ObjPipe && f.Kind != linux.ObjSocket {
		return
	}
	if o.pair {
		sc.pair = f
		return
	}
	if other := sc.pair; other != nil {
		f.Writes = f.Kind == linux.ObjPipe
		sc.pair = nil
		join(f, other, true)
	}
}

// terminal finds the master of a pseudo-terminal that is opened: by its path, or from
// its master (TIOCGPTPEER). Of several the last one is its other end.
func (m *merger) terminal(sc *scan, o *op, t *table, f *File) {
	master := (*File)(nil)
	switch {
	case f.Path == "" && o.from > 0:
		master = m.file(sc, o, t, o.from, linux.ObjFile)
		f.Path = "/dev/pts/"
		for path, other := range m.terminals {
			if other == master {
				f.Path = path
			}
		}
	case strings.HasPrefix(f.Path, "/dev/pts/"):
		master = m.terminals[f.Path]
	}
	if master == nil {
		return
	}
	join(f, master, true)
}

// join makes two files the ends of one connection.
func join(a, b *File, sure bool) {
	a.Other, b.Other, a.Sure, b.Sure = b, a, sure, sure
}

func (m *merger) watch(sc *scan, o *op, t *table) {
	const add, del, mod = 1, 2, 3 // sys/epoll.h
	ep := m.file(sc, o, t, o.fd, linux.ObjEpoll)
	f := m.file(sc, o, t, o.from, linux.ObjUnknown)
	switch o.arg {
	case add, mod:
		if ep.Watched == nil {
			ep.Watched = map[int]Watch{}
		}
		if len(ep.Watched) < maxWatched {
			ep.Watched[int(o.from)] = Watch{f, o.events}
		}
	case del:
		delete(ep.Watched, int(o.from))
	}
}

// hand notes that a descriptor goes to the other end of a socket.
func (m *merger) hand(over, f *File, at gate) {
	to := over.Other
	if to == nil || len(to.rights) >= maxRights {
		return
	}
	if n := len(to.rights); n > 0 && to.rights[n-1].at == at {
		to.rights[n-1].files = append(to.rights[n-1].files, f)
		return
	}
	to.rights = append(to.rights, right{at, []*File{f}})
}

// take returns the next descriptor that came over a socket, nil if it is not
// known what was sent. Those of one message that are not taken are lost.
func (m *merger) take(from *File, at gate) *File {
	if from.taking.at != at {
		if len(from.rights) == 0 {
			return nil
		}
		from.taking = right{at, from.rights[0].files}
		from.rights = from.rights[1:]
	}
	if len(from.taking.files) == 0 {
		return nil
	}
	f := from.taking.files[0]
	from.taking.files = from.taking.files[1:]
	return f
}

// stolen is the file that pidfd_getfd takes from another process.
func (m *merger) stolen(sc *scan, o *op, t *table) *File {
	if o.more != nil {
		pidfd := m.file(sc, o, t, o.more.via, linux.ObjPidFD)
		if of := m.living[pidfd.PID]; of != nil {
			return m.file(of, o, m.table(of, 0), o.from, linux.ObjUnknown)
		}
	}
	return m.newFile(File{Inherited: true, Made: m.at(sc, o)})
}

// socket applies what is about addresses.
func (m *merger) socket(sc *scan, o *op, t *table) {
	addr := ""
	if o.more != nil {
		addr = o.more.text
	}
	if linux.Do(o.do) == linux.DoAccept {
		m.accepted(sc, o, t, addr)
		return
	}
	f := m.file(sc, o, t, o.fd, linux.ObjSocket)
	switch linux.Do(o.do) {
	case linux.DoBind:
		f.Local = addr
	case linux.DoListen:
		f.Listening = true
		m.listen[f.Local] = f
	case linux.DoName:
		m.named(f, addr)
	case linux.DoPeer:
		f.Remote = addr
	case linux.DoSend:
		f.SentTo = addr
	case linux.DoShut:
		f.ShutIn = f.ShutIn || o.arg == 0 || o.arg == 2
		f.ShutOut = f.ShutOut || o.arg == 1 || o.arg == 2
	case linux.DoConnect:
		if f.Connected != nil && f.Remote == addr {
			return // asked again
		}
		at := m.at(sc, o)
		f.Remote, f.Connected = addr, &at
		if f.Type == sockStream || f.Type == sockSeqpacket || f.Type == 0 {
			if l := m.listener(addr); l != nil {
				l.Backlog = append(l.Backlog, f)
			}
		}
	}
}

// listener returns the socket that takes connections to an address.
func (m *merger) listener(addr string) *File {
	try := []string{addr}
	if i := strings.LastIndexByte(addr, ':'); i > 0 && !strings.HasPrefix(addr, "unix:") {
		port := addr[i:]
		try = append(try, "0.0.0.0"+port, "[::]"+port)
		if v4, ok := strings.CutPrefix(addr, "[::ffff:"); ok {
			try = append(try, strings.Replace(v4, "]", "", 1))
		}
	}
	for _, a := range try {
		if l := m.listen[a]; l != nil && a != "" {
			return l
		}
	}
	return nil
}

// accepted makes the file of a connection, and finds its other end.
func (m *merger) accepted(sc *scan, o *op, t *table, addr string) {
	l := m.file(sc, o, t, o.from, linux.ObjSocket)
	l.Accepted++
	at := m.at(sc, o)
	f := m.newFile(File{Kind: linux.ObjSocket, Made: at, Socket: Socket{Connected: &at, Domain: l.Domain, Type: l.Type, Local: l.Local, Remote: addr, From: l}})
	m.put(sc, o, t, f)
	if addr != "" && !strings.HasPrefix(addr, "unix:") {
		m.conns[f.Local+" "+addr] = f
	}
	// The one whose own address is known to be that; else the first of those
	// whose is not known.
	known := func(c *File) bool { return c.Local != "" && c.Local == addr && !strings.HasPrefix(addr, "unix:") }
	i := slices.IndexFunc(l.Backlog, known)
	sure := i >= 0
	if !sure {
		open := func(c *File) bool {
			return c.Local == "" || c.Local == "unix:unnamed" || strings.HasSuffix(c.Local, ":0") || c.Domain == familyUnix
		}
		i = slices.IndexFunc(l.Backlog, open)
	}
	if i < 0 {
		return
	}
	c := l.Backlog[i]
	l.Backlog = slices.Delete(l.Backlog, i, i+1)
	join(f, c, sure)
}

// named takes in a socket's own address, which may show that it was matched
// with another connection than its own.
func (m *merger) named(f *File, addr string) {
	if f.Listening {
		delete(m.listen, f.Local)
		m.listen[addr] = f
	}
	f.Local = addr
	if f.From != nil || f.Listening || f.Sure || strings.HasPrefix(addr, "unix:") {
		return
	}
	right := m.conns[f.Remote+" "+addr]
	switch {
	case right == nil:
		return
	case right.Other == f:
		f.Sure, right.Sure = true, true
	case !right.Sure:
		mine, its := f.Other, right.Other
		join(f, right, true)
		if mine != nil && its != nil {
			join(mine, its, false)
		} else if mine != nil {
			mine.Other = nil
		} else if its != nil {
			its.Other = nil
		}
	}
}
