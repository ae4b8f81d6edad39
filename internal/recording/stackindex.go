package recording

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"

	"github.com/klauspost/compress/zstd"

	"pyrr/internal/stack"
)

// The index of stacks (member "stacks") holds the stack of the thread of
// each event, as a replay found them: a prefix tree of frames, and for each
// event the node of its innermost frame. docs/format.md has the layout. It
// is made after the recording and can be made again, so it has a version of
// its own, and a reader that does not know it goes without.
const (
	stacksName    = "stacks"
	sourcesName   = "sources"
	stacksVersion = 2
	oldestStacks  = 1 // that this pyrr reads

	// Kinds of sections, the first byte of a chunk.
	sectionStrings = 1
	sectionFrames  = 2
	sectionNodes   = 3
	sectionEvents  = 4
	sectionNames   = 5
	sectionEnd     = 6
	sectionFacts   = 7
	// sectionTogether has several small sections, which share what they have in common.
	sectionTogether = 8

	// sectionEvery is how many events one section has, except for the last.
	sectionEvery = 1 << 16
)

var (
	magicStacks  = [4]byte{'P', 'Y', 'R', 'I'}
	magicSources = [4]byte{'P', 'Y', 'R', 'S'}
)

// ErrNoIndex says that a recording has no index of stacks that this pyrr
// can use: its recorder was killed, or another version made it.
var ErrNoIndex = errors.New("the recording has no index of stacks")

// Frame flags of the index.
const (
	frameC = 1 << iota // else Python
	frameColumns
	frameModule
	frameErr
	frameEval

	knownFrameFlags = frameC | frameColumns | frameModule | frameErr | frameEval
)

// StackWriter makes the index of a recording. Stacks are built from their
// outermost frames inwards: Node extends one by a frame.
type StackWriter struct {
	r       *Recording
	f       *os.File
	enc     *zstd.Encoder
	err     error
	seq     uint32
	packed  []byte
	strings map[string]uint32
	texts   []string
	frames  map[frameRow]uint32
	list    []frameRow
	nodes   map[uint64]uint32
	tree    []treeNode
	depth   []uint32
	procs   map[int]*eventColumn
	order   []int
	names   map[int][]threadName
	facts   map[int][]byte
	full    bool
	limit   int // of nodes
	parts   *parts
}

// writtenNodes bounds the memory of the writer; a reader takes more.
const writtenNodes = maxStackNodes / 4

// frameRow is what the index keeps of a frame.
type frameRow struct {
	kind                       stack.Kind
	fn, file                   string
	line, endLine, col, endCol int
	module                     string
	offset                     uint64
	err                        string
	eval                       bool
}

// treeNode is a frame on top of another stack; 0 is the empty one.
type treeNode struct{ parent, frame uint32 }

// eventColumn holds the nodes of a process's events that are not written yet.
type eventColumn struct {
	first uint64
	nodes []uint32
}

// threadName is a name that a thread has from one event of its process on.
type threadName struct {
	tid   int32
	event uint64
	name  string
}

// WriteStacks begins the index of a recording that is a folder. It appears
// there when the writer is closed.
func (r *Recording) WriteStacks() (*StackWriter, error) {
	f, enc, err := r.newPart(stacksName)
	if err != nil {
		return nil, fmt.Errorf("write the index of %s: %w", r.path, err)
	}
	return &StackWriter{
		r: r, f: f, enc: enc,
		strings: map[string]uint32{"": 0}, texts: []string{""},
		frames: map[frameRow]uint32{}, nodes: map[uint64]uint32{}, tree: make([]treeNode, 1), depth: make([]uint32, 1),
		procs: map[int]*eventColumn{}, names: map[int][]threadName{}, facts: map[int][]byte{}, limit: writtenNodes,
	}, nil
}

// noFrame stands for a frame beyond the limits of the format.
const noFrame = ^uint32(0)

// Frame returns the number of a frame. Its Text is not kept: it is in the
// sources.
func (w *StackWriter) Frame(f *stack.Frame) uint32 {
	row := frameRow{f.Kind, f.Func, f.File, f.Line, f.EndLine, f.Col, f.EndCol, f.Module, f.Offset, f.Err, f.Eval}
	id, ok := w.frames[row]
	if !ok {
		if len(w.list) >= maxStackFrames {
			w.tooMany("frames")
			return noFrame
		}
		id = uint32(len(w.list))
		w.list = append(w.list, row)
		w.frames[row] = id
	}
	return id
}

// tooMany gives the index up: half a stack would be worse than none, and a
// replay has them all.
func (w *StackWriter) tooMany(what string) {
	if w.err == nil {
		w.err = fmt.Errorf("too many %s for an index", what)
	}
}

// Node returns the stack that has the frame with that number inside the stack
// outer, 0 for none.
func (w *StackWriter) Node(outer, frame uint32) uint32 {
	key := uint64(outer)<<32 | uint64(frame)
	n, ok := w.nodes[key]
	if !ok {
		if frame == noFrame || len(w.tree) >= w.limit || w.depth[outer] >= maxStackDepth {
			w.tooMany("stacks")
			return outer
		}
		n = uint32(len(w.tree))
		w.tree = append(w.tree, treeNode{outer, frame})
		w.depth = append(w.depth, w.depth[outer]+1)
		w.nodes[key] = n
	}
	return n
}

// Event gives the next event of a process its stack, 0 for none.
func (w *StackWriter) Event(proc int, node uint32) {
	c := w.procs[proc]
	if c == nil {
		c = &eventColumn{}
		w.procs[proc] = c
		w.order = append(w.order, proc)
	}
	c.nodes = append(c.nodes, node)
	if len(c.nodes) == sectionEvery {
		w.flushEvents(proc, c)
	}
}

// Name says that a thread has a name from one event of its process on.
func (w *StackWriter) Name(proc int, tid int32, event uint64, name string) {
	if len(name) <= maxBytes {
		w.names[proc] = append(w.names[proc], threadName{tid, event, name})
	}
}

// Facts keeps what was read of a process when its recording ends: JSON, of which
// the index knows no more than how frames stand in it. What is longer than an index may
// hold is left out.
func (w *StackWriter) Facts(proc int, text []byte) {
	if len(text) <= maxFacts {
		w.facts[proc] = text
	}
}

// Files returns the files of the Python frames so far.
func (w *StackWriter) Files() []string {
	seen := map[string]bool{}
	var files []string
	for i := range w.list {
		if f := &w.list[i]; f.kind == stack.Python && !seen[f.file] {
			seen[f.file] = true
			files = append(files, f.file)
		}
	}
	return files
}

// SetFull says that the stacks have the C frames too.
func (w *StackWriter) SetFull() { w.full = true }

func (w *StackWriter) flushEvents(proc int, c *eventColumn) {
	b := binary.AppendUvarint([]byte{sectionEvents}, uint64(proc))
	last := uint32(0)
	for _, n := range c.nodes {
		b = appendSigned(b, int64(n)-int64(last))
		last = n
	}
	w.chunk(b, c.first, len(c.nodes))
	c.first += uint64(len(c.nodes))
	c.nodes = c.nodes[:0]
}

func (w *StackWriter) chunk(raw []byte, first uint64, count int) {
	if w.err != nil || w.parts.take(w, raw, first, count) {
		return
	}
	w.packed = w.write(w.enc, raw, first, count)
}

// write writes a chunk, which it returns.
func (w *StackWriter) write(enc *zstd.Encoder, raw []byte, first uint64, count int) []byte {
	h := chunkHeader{magic: magicStacks, seq: w.seq, first: first, count: uint32(count), raw: uint32(len(raw)), sum: crc32.Checksum(raw, castagnoli)}
	w.seq++
	packed := writeTo(w.packed, enc, h, raw)
	_, w.err = w.f.Write(packed)
	return packed
}

// writeTo packs a chunk into buf.
func writeTo(buf []byte, enc *zstd.Encoder, h chunkHeader, raw []byte) []byte {
	var zero [chunkHeaderSize]byte
	buf = enc.EncodeAll(raw, append(buf[:0], zero[:]...))
	h.packed = uint32(len(buf) - chunkHeaderSize)
	h.put(buf)
	return buf
}

// Close writes what is left and puts the index in its place.
func (w *StackWriter) Close() error {
	for _, proc := range w.order {
		if c := w.procs[proc]; len(c.nodes) > 0 {
			w.flushEvents(proc, c)
		}
	}
	w.parts = &parts{}
	w.writeNodes()
	w.writeNames()
	w.writeFacts()
	w.writeFrames()
	w.writeStrings()
	w.parts.flush(w)
	w.parts = nil
	full := byte(0)
	if w.full {
		full = 1
	}
	b := []byte{sectionEnd, stacksVersion, full}
	for _, n := range []int{len(w.texts), len(w.list), len(w.tree), len(w.order)} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	w.chunk(b, 0, 0)
	if err := w.r.putInPlace(stacksName, w.f, w.enc, w.err); err != nil {
		return fmt.Errorf("write the index of %s: %w", w.r.path, err)
	}
	return nil
}

// putInPlace closes a file that was written as NAME.tmp and gives it its name, if err
// is nil and nothing fails; else it is removed.
func (r *Recording) putInPlace(name string, f *os.File, enc *zstd.Encoder, err error) error {
	err = errors.Join(err, f.Close())
	enc.Close()
	if err == nil {
		err = r.root.Rename(name+".tmp", name)
	}
	if err != nil {
		r.root.Remove(name + ".tmp")
	}
	return err
}

// drop closes and removes a file that was written as NAME.tmp.
func (r *Recording) drop(name string, f *os.File, enc *zstd.Encoder) {
	f.Close()
	enc.Close()
	r.root.Remove(name + ".tmp")
}

// Abort drops the index.
func (w *StackWriter) Abort() { w.r.drop(stacksName, w.f, w.enc) }

// HasStacks tells that there is an index of stacks, of any version.
func (r *Recording) HasStacks() bool {
	c, err := r.lookup(stacksName)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// eachChunk calls f with the unpacked content of each chunk of a member. A
// cut member is damage.
func (r *Recording) eachChunk(name string, magic [4]byte, f func(h *chunkHeader, raw []byte) error) error {
	src, err := r.lookup(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return ErrNoIndex
		}
		return err
	}
	defer src.Close()
	dec, err := newDecoder()
	if err != nil {
		return err
	}
	defer dec.Close()
	var buf []byte
	at := int64(0)
	for seq := uint32(0); at < src.size; seq++ {
		h, packed, err := readChunk(src, at, magic, 0, seq, &buf)
		var raw []byte
		if err == nil {
			raw, err = h.unpack(dec, packed)
		}
		if err == nil {
			err = f(&h, raw)
		}
		if err != nil {
			if err == io.EOF {
				err = errors.New("it is cut")
			}
			return &DamagedError{File: name, Offset: at, Err: err}
		}
		at += chunkHeaderSize + int64(h.packed)
	}
	return nil
}
