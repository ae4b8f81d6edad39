package cpython

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pyrr/internal/mem"
	"pyrr/internal/setup"
)

// arena is a forged address space: size bytes at arenaBase. With alias set,
// every other address reads the same bytes again, so that wild pointers lead
// somewhere.
type arena struct {
	b     []byte
	alias bool
	next  uint64 // first free address
}

const arenaBase = 0x10000

func (a *arena) ReadAt(p []byte, addr uint64) error {
	if a.alias && len(a.b) > 0 {
		for len(p) > 0 {
			n := copy(p, a.b[(addr-arenaBase)%uint64(len(a.b)):])
			p, addr = p[n:], addr+uint64(n)
		}
		return nil
	}
	if off := addr - arenaBase; addr >= arenaBase && off <= uint64(len(a.b)) && uint64(len(a.b))-off >= uint64(len(p)) {
		copy(p, a.b[off:])
		return nil
	}
	return &mem.Error{Addr: addr, Len: len(p), Err: errors.New("not mapped")}
}

// alloc returns the address of n fresh bytes.
func (a *arena) alloc(n int) uint64 {
	if a.next == 0 {
		a.next = arenaBase + 64
	}
	addr := a.next
	a.next += uint64(n+15) &^ 15
	for uint64(len(a.b)) < a.next-arenaBase {
		a.b = append(a.b, 0)
	}
	return addr
}

func (a *arena) put(addr uint64, off int, v uint64) {
	if off != no {
		binary.LittleEndian.PutUint64(a.b[addr-arenaBase+uint64(off):], v)
	}
}

// forged is a small process in an arena: one interpreter, one thread, n
// frames of one code object.
type forged struct {
	arena
	l      *layout
	rt     *Runtime
	interp uint64
	thread uint64
	code   uint64
	frames []uint64
}

func forge(t testing.TB, minor, n int) *forged {
	l, err := tableLayout(minor, false)
	if err != nil {
		t.Fatal(err)
	}
	f := &forged{l: l}
	runtime := f.alloc(2048)
	f.interp, f.thread = f.alloc(8192), f.alloc(1024)
	f.put(runtime, l.runtime.interpHead, f.interp)
	f.put(f.interp, l.interp.threads, f.thread)
	f.put(f.thread, l.thread.threadID, 0x7f00)
	f.put(f.thread, l.thread.nativeID, 77)
	typ := f.alloc(1024)
	f.put(typ, l.typ.name, f.text("code"))
	f.code = f.alloc(512)
	f.put(f.code, l.object.typ, typ)
	f.put(f.code, l.code.filename, f.str("forged.py"))
	f.put(f.code, l.code.name, f.str("f"))
	f.put(f.code, l.code.qualname, f.str("C.f"))
	f.put(f.code, l.code.flags, coOptimized)
	f.put(f.code, l.code.firstLine, 7)
	table := f.alloc(64)
	f.put(table, l.object.size, 2)
	f.put(table, l.bytes.value, map[bool]uint64{true: 0x00e8, false: 0x0010}[minor >= 11]) // no columns, line 7
	f.put(f.code, l.code.lineTable, table)
	for range n {
		f.frames = append(f.frames, f.alloc(512))
	}
	for i, fr := range f.frames {
		f.put(fr, l.frame.code, f.code)
		if minor >= 11 {
			f.put(fr, l.frame.ip, f.code+uint64(l.code.bytecode))
		}
		if i+1 < n {
			f.put(fr, l.frame.previous, f.frames[i+1])
		}
	}
	top := uint64(0)
	if n > 0 {
		top = f.frames[0]
	}
	if l.thread.frame != no {
		f.put(f.thread, l.thread.frame, top)
	} else {
		cframe := f.alloc(64)
		f.put(f.thread, l.thread.cframe, cframe)
		f.put(cframe, l.cframe.currentFrame, top)
	}
	size := max(l.frame.code, l.frame.previous, l.frame.ip, l.frame.owner, l.frame.isEntry, l.frame.locals) + 8
	f.rt = &Runtime{Version: Version{3, minor, -1}, Addr: runtime, l: l, frameSize: size}
	return f
}

func (f *forged) text(s string) uint64 {
	addr := f.alloc(len(s) + 1)
	copy(f.b[addr-arenaBase:], s)
	return addr
}

func (f *forged) str(s string) uint64 {
	addr := f.alloc(f.l.str.compact + 64 + len(s))
	f.put(addr, f.l.str.length, uint64(len(s)))
	f.put(addr, f.l.str.state, 1<<2|1<<5|1<<6)
	copy(f.b[addr-arenaBase+uint64(f.l.str.ascii):], s)
	return addr
}

var forgedMinors = []int{8, 9, 10, 11, 12, 13, 14, 15}

// deep is how many frames are forged.
const deep = 40

// forgeries are what memory may lie about.
var forgeries = []struct {
	name   string
	forge  func(f *forged)
	frames int    // expected number of frames
	err    string // part of the last frame's Err or of the error; "" for none
}{
	{name: "sound", forge: func(*forged) {}, frames: deep},
	{name: "frame before itself", forge: func(f *forged) {
		f.put(f.frames[0], f.l.frame.previous, f.frames[0])
	}, frames: 1, err: "comes twice"},
	{name: "cycle", forge: func(f *forged) {
		f.put(f.frames[deep-1], f.l.frame.previous, f.frames[3])
	}, frames: deep, err: "comes twice"},
	{name: "wild previous", forge: func(f *forged) {
		f.put(f.frames[5], f.l.frame.previous, 0xdead_beef_0000)
	}, frames: 6, err: "not mapped"},
	{name: "previous at the end of memory", forge: func(f *forged) {
		f.put(f.frames[5], f.l.frame.previous, ^uint64(7))
	}, frames: 6, err: "not a range"},
	{name: "no code", forge: func(f *forged) {
		f.put(f.frames[2], f.l.frame.code, 0)
	}, frames: 2, err: "null pointer"},
	{name: "code that is none", forge: func(f *forged) {
		typ := f.alloc(1024)
		f.put(typ, f.l.typ.name, f.text("dict"))
		other := f.alloc(512)
		copy(f.b[other-arenaBase:][:512], f.b[f.code-arenaBase:])
		f.put(other, f.l.object.typ, typ)
		f.put(f.frames[2], f.l.frame.code, other)
	}, frames: 2, err: `is a "dict"`},
	{name: "giant line table", forge: func(f *forged) {
		table := f.alloc(64)
		f.put(table, f.l.object.size, 1<<50)
		f.put(f.code, f.l.code.lineTable, table)
	}, frames: 0, err: "length 1125899906842624"},
	{name: "negative length", forge: func(f *forged) {
		table := f.alloc(64)
		f.put(table, f.l.object.size, ^uint64(0))
		f.put(f.code, f.l.code.lineTable, table)
	}, frames: 0, err: "length"},
	{name: "giant file name", forge: func(f *forged) {
		s := f.str("x")
		f.put(s, f.l.str.length, 1<<39)
		f.put(f.code, f.l.code.filename, s)
	}, frames: 0, err: "not mapped"},
	{name: "absurd file name", forge: func(f *forged) {
		s := f.str("x")
		f.put(s, f.l.str.length, 1<<60)
		f.put(f.code, f.l.code.filename, s)
	}, frames: 0, err: "length"},
	{name: "kind of character", forge: func(f *forged) {
		s := f.str("x")
		f.put(s, f.l.str.state, 7<<2|1<<5)
		f.put(f.code, f.l.code.filename, s)
	}, frames: 0, err: "kind 7"},
	{name: "no thread", forge: func(f *forged) { f.thread = 8 }, frames: 0, err: "not mapped"},
}

// TestForgedMemory holds the walkers against memory that lies.
func TestForgedMemory(t *testing.T) {
	for _, minor := range forgedMinors {
		for _, tt := range forgeries {
			t.Run(fmt.Sprintf("3.%d/%s", minor, tt.name), func(t *testing.T) {
				f := forge(t, minor, deep)
				tt.forge(f)
				s, err := f.rt.Stack(&f.arena, Thread{Addr: f.thread}, Options{})
				got := ""
				if err != nil {
					got = err.Error()
				} else if n := len(s.Frames); n > 0 {
					got = s.Frames[n-1].Err
				}
				if len(s.Frames) != tt.frames || !strings.Contains(got, tt.err) || (got == "") != (tt.err == "") {
					t.Errorf("%d frames, error %q; want %d, %q", len(s.Frames), got, tt.frames, tt.err)
				}
				for i, fr := range s.Frames {
					if fr.File != "forged.py" || fr.Line != 7 || !strings.HasSuffix(fr.Func, "f") || fr.Err != "" && i < len(s.Frames)-1 {
						t.Errorf("frame %d: %+v", i, fr)
					}
				}
			})
		}
	}
}

// TestForgedLists holds the lists of threads and interpreters, and the limit
// of frames.
func TestForgedLists(t *testing.T) {
	for _, minor := range forgedMinors {
		t.Run(fmt.Sprintf("3.%d", minor), func(t *testing.T) {
			f := forge(t, minor, 40)
			ts, err := f.rt.Threads(&f.arena)
			if err != nil || len(ts) != 1 || ts[0].Ident != 0x7f00 {
				t.Errorf("threads %+v, error %v", ts, err)
			}
			s, err := f.rt.Stack(&f.arena, ts[0], Options{Limit: 10})
			if err != nil || len(s.Frames) != 10 || s.Frames[9].Err != "more than 10 frames" {
				t.Errorf("with a limit: %d frames, error %v", len(s.Frames), err)
			}
			s, err = f.rt.Stack(&f.arena, ts[0], Options{Limit: 40})
			if err != nil || len(s.Frames) != 40 || s.Frames[39].Err != "" {
				t.Errorf("with just enough: %d frames, error %v", len(s.Frames), err)
			}
			f.put(f.thread, f.l.thread.next, f.thread)
			if ts, err := f.rt.Threads(&f.arena); err == nil || len(ts) != 1 {
				t.Errorf("thread after itself: threads %+v, error %v", ts, err)
			}
			f.put(f.thread, f.l.thread.next, 0)
			f.put(f.interp, f.l.interp.next, f.interp)
			if ts, err := f.rt.Threads(&f.arena); err == nil || len(ts) != 1 {
				t.Errorf("interpreter after itself: threads %+v, error %v", ts, err)
			}
			f.put(f.interp, f.l.interp.next, 0xdead_0000)
			if ts, err := f.rt.Threads(&f.arena); err == nil || len(ts) != 1 {
				t.Errorf("wild interpreter: threads %+v, error %v", ts, err)
			}
		})
	}
}

// TestRaising: an exception on its way, made an object or, before 3.12, not
// yet.
func TestRaising(t *testing.T) {
	for _, minor := range forgedMinors {
		t.Run(fmt.Sprintf("3.%d", minor), func(t *testing.T) {
			f := forge(t, minor, 1)
			l := f.l
			typeOf := func(name string, flags uint64) uint64 {
				typ := f.alloc(1024)
				f.put(typ, l.typ.name, f.text(name))
				f.put(typ, l.typ.flags, flags)
				return typ
			}
			valueError := typeOf("ValueError", flagException)
			text := f.str("bad")
			f.put(text, 0, 1) // its reference count
			f.put(text, l.object.typ, typeOf("str", flagStr))
			args := f.alloc(64)
			f.put(args, l.object.size, 1)
			f.put(args, l.tuple.items, text)
			exc := f.alloc(128)
			f.put(exc, 0, 1)
			f.put(exc, l.object.typ, valueError)
			f.put(exc, l.exc.args, args)
			get := func() *Exception {
				t.Helper()
				raising, handling, err := f.rt.Exceptions(&f.arena, Thread{Addr: f.thread})
				if err != nil || handling != nil {
					t.Errorf("handling %+v, error %v", handling, err)
				}
				return raising
			}
			if e := get(); e != nil {
				t.Errorf("without one: %+v", e)
			}
			f.put(f.thread, l.thread.curExcType, valueError)
			f.put(f.thread, l.thread.curExc, exc)
			want := Exception{Addr: exc, Type: "ValueError", Text: "ValueError('bad')"}
			if e := get(); e == nil || *e != want {
				t.Errorf("an object: %+v", e)
			}
			f.put(f.thread, l.thread.curExc, 0)
			if e := get(); minor <= 11 && (e == nil || e.Text != "ValueError") || minor >= 12 && e != nil {
				t.Errorf("a type alone: %+v", e)
			}
		})
	}
}

// TestForgedShims: a chain of the interpreter's own frames alone ends too.
func TestForgedShims(t *testing.T) {
	f := forge(t, 13, 3)
	for range 100_000 {
		shim := f.alloc(96)
		f.b[shim-arenaBase+uint64(f.l.frame.owner)] = ownedByCStack
		f.put(shim, f.l.frame.previous, f.frames[len(f.frames)-1])
		f.frames = append(f.frames, shim)
	}
	f.put(f.thread, f.l.thread.frame, f.frames[len(f.frames)-1])
	s, err := f.rt.Stack(&f.arena, Thread{Addr: f.thread}, Options{})
	if len(s.Frames) != 0 || err == nil || !strings.Contains(err.Error(), "frames and shims") {
		t.Errorf("%d frames, error %v", len(s.Frames), err)
	}
}

// TestForgedAwaits: a coroutine that awaits itself ends in an error.
func TestForgedAwaits(t *testing.T) {
	f := forge(t, 13, 0)
	l := f.l
	gen := f.alloc(512)
	typ := f.alloc(1024)
	f.put(typ, l.typ.name, f.text("coroutine"))
	f.put(gen, l.object.typ, typ)
	f.b[gen-arenaBase+uint64(l.gen.state)] = 0xff // FRAME_SUSPENDED_YIELD_FROM
	frame := gen + uint64(l.gen.iframe)
	f.put(frame, l.frame.code, f.code)
	f.put(frame, l.frame.ip, f.code+uint64(l.code.bytecode))
	f.put(frame, l.frame.stacktop, 1)
	f.put(frame, l.frame.localsplus, gen)
	v := newView(&f.arena)
	defer v.release()
	frames, _, _, err := f.rt.chain(v, gen)
	if err == nil || len(frames) != maxAwaits || frames[0].Func != "C.f" {
		t.Errorf("%d frames, error %v", len(frames), err)
	}
}

// readEverything uses every entry point on a process's memory, and fails when
// that takes too long.
func readEverything(t testing.TB, r *Runtime, m mem.Reader, next uint64) {
	start := time.Now()
	ts, _ := r.Threads(m)
	for i, th := range ts {
		if i == 3 {
			break
		}
		frames, _ := r.Frames(m, th, Options{Limit: 200, NextInstr: next})
		for k, f := range frames {
			if k == 3 {
				break
			}
			r.Locals(m, f)
		}
		r.Exceptions(m, th)
	}
	r.Tasks(m)
	r.Greenlets(m)
	k := r.NewTracker()
	for range 2 {
		for i := range min(3, len(ts)) {
			k.Frames(m, ts[i].Ident, next)
		}
	}
	if d := time.Since(start); setup.Slow(d, 10*time.Second) {
		t.Fatalf("took %v", d)
	}
}

// FuzzForgedMemory gives the readers memory that repeats a few thousand
// arbitrary bytes over the whole address space.
func FuzzForgedMemory(f *testing.F) {
	for _, minor := range forgedMinors {
		fg := forge(f, minor, 2)
		f.Add(uint8(minor), uint64(0), fg.b)
	}
	f.Fuzz(func(t *testing.T, minor uint8, next uint64, b []byte) {
		minor = 8 + (minor-8)%8
		if len(b) < 64 || len(b) > 1<<16 {
			return
		}
		fg := forge(t, int(minor), 0)
		readEverything(t, fg.rt, &arena{b: b, alias: true}, next)
	})
}
