package recording

import (
	"errors"
	"fmt"
	"sort"
	"sync"

	"pyrr/internal/stack"
)

// StackIndex gives the stacks at the events of a recording without a replay.
// Its methods may be called from several goroutines.
type StackIndex struct {
	r      *Recording
	full   bool
	frames []stack.Frame
	tree   []treeNode
	depth  []uint32
	procs  map[int]*indexedProc
	names  map[threadKey][]threadName
	facts  map[int][]byte

	mu sync.Mutex
	// The section of events that was asked for last.
	proc  int
	first uint64
	nodes []uint32
}

type threadKey struct {
	proc int
	tid  int32
}

// indexedProc says where the sections of a process's events are.
type indexedProc struct {
	sections []eventSection
	count    uint64
}

type eventSection struct {
	first uint64
	count uint32
	seq   uint32
	at    int64
}

// StackIndex reads the index of stacks, except for the column of events. Where
// there is none that this pyrr knows, the error is ErrNoIndex.
func (r *Recording) StackIndex() (*StackIndex, error) {
	x := &StackIndex{r: r, procs: map[int]*indexedProc{}, names: map[threadKey][]threadName{}, facts: map[int][]byte{}}
	d := indexDecoder{x: x, tree: []treeNode{{}}, budget: r.mayUnpack(stacksName, freeIndex)}
	err := r.eachChunk(stacksName, magicStacks, d.chunk)
	if err == nil && d.end == nil {
		err = &DamagedError{File: stacksName, Err: errors.New("it has no end")}
	}
	if err == nil {
		err = d.finish()
	}
	if err != nil {
		return nil, err
	}
	return x, nil
}

// indexDecoder gathers the sections of an index.
type indexDecoder struct {
	x       *StackIndex
	strings []string
	size    int
	rows    []rawFrame
	tree    []treeNode
	names   []rawName
	end     []byte
	at      int64

	factsSize int
	budget    int64 // bytes of memory that are left for all of it
}

type rawFrame struct {
	flags                       byte
	fn, file, module, err       uint64
	line, endLine, col, endColu int64
	offset                      uint64
}

type rawName struct {
	proc  int
	tid   int32
	event uint64
	name  uint64
}

func (d *indexDecoder) chunk(h *chunkHeader, raw []byte) error {
	at := d.at
	d.at += chunkHeaderSize + int64(h.packed)
	if d.end != nil {
		return errors.New("something follows the end")
	}
	if raw[0] == sectionTogether {
		return d.together(h, raw[1:])
	}
	return d.section(h, at, raw)
}

// section takes in one section; at is where its chunk lies.
func (d *indexDecoder) section(h *chunkHeader, at int64, raw []byte) error {
	p := parser{b: raw[1:]}
	n := int(h.count)
	var err error
	switch raw[0] {
	case sectionEvents:
		// The numbers are unpacked when they are asked for.
		err = d.events(h, at, p.uvarint())
		p.b = nil
	case sectionStrings:
		err = d.texts(&p, n)
	case sectionFrames:
		err = d.frames(&p, n)
	case sectionNodes:
		err = d.nodes(&p, n)
	case sectionNames:
		err = d.threadNames(&p, n)
	case sectionFacts:
		proc := p.uvarint()
		err = d.facts(proc, p.b)
		p.b = nil
	case sectionEnd:
		d.end, p.b = raw[1:], nil
	default:
		p.b = nil // of a later version, and only more of it
	}
	switch {
	case err != nil:
		return err
	case p.err != nil:
		return p.err
	case len(p.b) != 0:
		return fmt.Errorf("%d bytes too many", len(p.b))
	}
	return nil
}

func (d *indexDecoder) events(h *chunkHeader, at int64, proc uint64) error {
	if proc < 1 || proc > maxStreams {
		return fmt.Errorf("events of process %d", proc)
	}
	ip := d.x.procs[int(proc)]
	if ip == nil {
		ip = &indexedProc{}
		d.x.procs[int(proc)] = ip
	}
	if h.first != ip.count || h.count == 0 {
		return fmt.Errorf("events from %d of process %d, where %d is next", h.first, proc, ip.count)
	}
	ip.sections = append(ip.sections, eventSection{h.first, h.count, h.seq, at})
	ip.count += uint64(h.count)
	return nil
}

func (d *indexDecoder) texts(p *parser, n int) error {
	for range n {
		s := p.string()
		if d.size += len(s); d.size > maxStackTotal || len(d.strings) >= maxStackTexts || len(s) > maxStackText {
			return errOverlong
		}
		if p.err != nil {
			return p.err
		}
		if err := d.spend(1, textCost, len(s)); err != nil {
			return err
		}
		d.strings = append(d.strings, s)
	}
	return nil
}

func (d *indexDecoder) frames(p *parser, n int) error {
	if len(d.rows)+n > maxStackFrames {
		return errOverlong
	}
	if err := d.spend(n, frameCost, 0); err != nil {
		return err
	}
	var fn, file, module, line int64
	for range n {
		delta := func(last *int64) int64 {
			*last += p.signed()
			return *last
		}
		f := rawFrame{flags: p.byte()}
		f.fn, f.file, f.line = uint64(delta(&fn)), uint64(delta(&file)), delta(&line)
		if f.flags&frameColumns != 0 {
			f.endLine, f.col, f.endColu = p.signed(), p.signed(), p.signed()
		}
		if f.flags&frameModule != 0 {
			f.module, f.offset = uint64(delta(&module)), p.uvarint()
		}
		if f.flags&frameErr != 0 {
			f.err = p.uvarint()
		}
		if p.err != nil {
			return p.err
		}
		if f.flags&^knownFrameFlags != 0 {
			return fmt.Errorf("frame with unknown flags %#x", f.flags)
		}
		d.rows = append(d.rows, f)
	}
	return nil
}

func (d *indexDecoder) nodes(p *parser, n int) error {
	if len(d.tree)+n > maxStackNodes {
		return errOverlong
	}
	if err := d.spend(n, nodeCost, 0); err != nil {
		return err
	}
	last := int64(0)
	for range n {
		id := uint64(len(d.tree))
		back := p.uvarint()
		last += p.signed()
		if p.err != nil {
			return p.err
		}
		if back >= id || last < 0 || last >= maxStackFrames {
			return fmt.Errorf("node %d: its parent is %d back, its frame %d", id, back, last)
		}
		d.tree = append(d.tree, treeNode{uint32(id - 1 - back), uint32(last)})
	}
	return nil
}

func (d *indexDecoder) threadNames(p *parser, n int) error {
	if len(d.names)+n > maxStackNames {
		return errOverlong
	}
	if err := d.spend(n, nameCost, 0); err != nil {
		return err
	}
	proc := p.uvarint()
	for range n {
		name := rawName{proc: int(proc & (1<<31 - 1)), tid: p.signed32(), event: p.uvarint(), name: p.uvarint()}
		if p.err != nil {
			return p.err
		}
		d.names = append(d.names, name)
	}
	return nil
}

// finish resolves what refers to texts and frames, which come last.
func (d *indexDecoder) finish() error {
	bad := func(format string, args ...any) error {
		return &DamagedError{File: stacksName, Err: fmt.Errorf(format, args...)}
	}
	if len(d.end) < 2 || d.end[0] < oldestStacks || d.end[0] > stacksVersion {
		return ErrNoIndex // of another version
	}
	x := d.x
	x.full = d.end[1]&1 != 0
	p := parser{b: d.end[2:]}
	for _, have := range []int{len(d.strings) + 1, len(d.rows), len(d.tree), len(x.procs)} {
		if n := p.uvarint(); p.err != nil || n != uint64(have) {
			return bad("%d entries, of which there should be %d", have, n)
		}
	}
	text := func(id uint64) string {
		if id == 0 {
			return ""
		}
		if id > uint64(len(d.strings)) {
			p.fail(fmt.Errorf("text %d of %d", id, len(d.strings)))
			return ""
		}
		return d.strings[id-1]
	}
	x.frames = make([]stack.Frame, len(d.rows))
	for i := range d.rows {
		row := &d.rows[i]
		f := stack.Frame{Kind: stack.Python, Func: text(row.fn), File: text(row.file), Line: int(row.line),
			Module: text(row.module), Offset: row.offset, Err: text(row.err), Eval: row.flags&frameEval != 0}
		if row.flags&frameC != 0 {
			f.Kind = stack.C
		}
		if row.flags&frameColumns != 0 {
			f.EndLine, f.Col, f.EndCol = int(row.line+row.endLine), int(row.col), int(row.endColu)
		}
		x.frames[i] = f
	}
	if err := d.expandFacts(); err != nil {
		return bad("%w", err)
	}
	x.tree, x.depth = d.tree, make([]uint32, len(d.tree))
	for i := 1; i < len(d.tree); i++ {
		n := d.tree[i]
		if int(n.frame) >= len(x.frames) {
			return bad("node %d has frame %d of %d", i, n.frame, len(x.frames))
		}
		if x.depth[i] = x.depth[n.parent] + 1; x.depth[i] > maxStackDepth {
			return bad("a stack of more than %d frames", maxStackDepth)
		}
	}
	for _, n := range d.names {
		key := threadKey{n.proc, n.tid}
		x.names[key] = append(x.names[key], threadName{n.tid, n.event, text(n.name)})
	}
	if p.err != nil {
		return bad("%w", p.err)
	}
	return nil
}

// Full tells whether the stacks hold the C frames too.
func (x *StackIndex) Full() bool { return x.full }

// Events returns for how many events of a process there are stacks.
func (x *StackIndex) Events(proc int) uint64 {
	if ip := x.procs[proc]; ip != nil {
		return ip.count
	}
	return 0
}

// Node returns the number of the stack at an event, 0 where there is none:
// equal stacks have equal numbers.
func (x *StackIndex) Node(proc int, event uint64) (uint32, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.proc != proc || event < x.first || event-x.first >= uint64(len(x.nodes)) {
		ip := x.procs[proc]
		if ip == nil || event >= ip.count {
			return 0, nil
		}
		i := sort.Search(len(ip.sections), func(i int) bool { return ip.sections[i].first > event }) - 1
		nodes, err := x.section(&ip.sections[i], proc)
		if err != nil {
			return 0, &DamagedError{File: stacksName, Offset: ip.sections[i].at, Err: err}
		}
		x.proc, x.first, x.nodes = proc, ip.sections[i].first, nodes
	}
	return x.nodes[event-x.first], nil
}

// section unpacks a section of events.
func (x *StackIndex) section(s *eventSection, proc int) ([]uint32, error) {
	src, err := x.r.lookup(stacksName)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	dec, err := newDecoder()
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	var buf []byte
	h, packed, err := readChunk(src, s.at, magicStacks, 0, s.seq, &buf)
	if err != nil {
		return nil, noEOF(err)
	}
	raw, err := h.unpack(dec, packed)
	if err != nil {
		return nil, err
	}
	p := parser{b: raw[1:]}
	if raw[0] != sectionEvents || p.uvarint() != uint64(proc) || h.count != s.count {
		return nil, errors.New("it has changed")
	}
	nodes := make([]uint32, s.count)
	last := int64(0)
	for i := range nodes {
		if last += p.signed(); p.err != nil || last < 0 || last >= int64(len(x.tree)) {
			return nil, fmt.Errorf("event %d has stack %d of %d", s.first+uint64(i), last, len(x.tree))
		}
		nodes[i] = uint32(last)
	}
	if len(p.b) != 0 {
		return nil, fmt.Errorf("%d bytes too many", len(p.b))
	}
	return nodes, nil
}

// Facts returns what was read of a process when its recording ends, nil for
// nothing.
func (x *StackIndex) Facts(proc int) []byte { return x.facts[proc] }

// AllFacts returns the facts of all processes, in no order.
func (x *StackIndex) AllFacts() [][]byte {
	var out [][]byte
	for _, text := range x.facts {
		out = append(out, text)
	}
	return out
}

// Frames returns the frames of a stack, innermost first.
func (x *StackIndex) Frames(node uint32) []stack.Frame {
	if int(node) >= len(x.tree) {
		return nil
	}
	out := make([]stack.Frame, 0, x.depth[node])
	for ; node != 0; node = x.tree[node].parent {
		out = append(out, x.frames[x.tree[node].frame])
	}
	return out
}

// Stack returns the stack of the thread of an event; ok is false where none
// could be read, or the index does not reach so far.
func (x *StackIndex) Stack(proc int, tid int32, event uint64) (st stack.Stack, ok bool, err error) {
	node, err := x.Node(proc, event)
	if err != nil || node == 0 {
		return stack.Stack{}, false, err
	}
	return stack.Stack{Thread: int(tid), Name: x.Name(proc, tid, event), Frames: x.Frames(node)}, true, nil
}

// Name returns the name of the thread that has an id at an event, as Python
// knows it; "" for none.
func (x *StackIndex) Name(proc int, tid int32, event uint64) string {
	name := ""
	for _, n := range x.names[threadKey{proc, tid}] {
		if n.event > event {
			break // of a later thread with the same id
		}
		name = n.name
	}
	return name
}

// ThreadNames returns all names of threads.
func (x *StackIndex) ThreadNames() []string {
	var out []string
	for _, list := range x.names {
		for _, n := range list {
			out = append(out, n.name)
		}
	}
	return out
}

// AllFrames returns each frame of the index once. The caller does not change
// them.
func (x *StackIndex) AllFrames() []stack.Frame { return x.frames }
