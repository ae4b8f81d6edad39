package cpython

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/mem"
)

// liveThreads starts a program that says in its first line what there is to be seen, and
// reads its threads once it waits.
func liveThreads(t *testing.T, in interpreter, script string, want any) (*process, *Runtime, []Thread) {
	t.Helper()
	p := startPython(t, in, script)
	if err := json.Unmarshal([]byte(p.line(t)), want); err != nil {
		t.Fatal(err)
	}
	p.awaitRead(t)
	r := openLive(t, in, p.m.PID)
	ts, err := r.Threads(p.m)
	if err != nil {
		t.Fatal(err)
	}
	return p, r, ts
}

// TestNextInstr: at a dispatch stop the innermost frame is where the register
// says, and only that frame.
func TestNextInstr(t *testing.T) {
	for _, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			var want [][4]int
			p, r, ts := liveThreads(t, in, "next.py", &want)
			plain, err := r.Frames(p.m, ts[0], Options{})
			if err != nil || plain[0].Func != "stop" {
				t.Fatalf("innermost %+v, error %v", plain[0], err)
			}
			code := plain[0].Code
			if r.Version.Minor <= 10 {
				got, err := r.Frames(p.m, ts[0], Options{NextInstr: code + 1})
				if d := cmp.Diff(plain, got); d != "" || err != nil {
					t.Errorf("up to 3.10 memory counts: error %v\n%s", err, d)
				}
				return
			}
			base := code + uint64(r.l.code.bytecode)
			for i, w := range want {
				got, err := r.Frames(p.m, ts[0], Options{NextInstr: base + 2*uint64(i)})
				if err != nil {
					t.Fatal(err)
				}
				f := got[0]
				if g := [4]int{f.Line, f.EndLine, f.Col, f.EndCol}; g != w || f.Instr != 2*i {
					t.Errorf("instruction %d: %v, Python says %v", i, g, w)
				}
				if d := cmp.Diff(plain[1:], got[1:]); d != "" {
					t.Errorf("instruction %d: outer frames\n%s", i, d)
				}
			}
			for _, wrong := range []uint64{base - 2, base + 2*uint64(len(want)), 8} {
				got, err := r.Frames(p.m, ts[0], Options{NextInstr: wrong})
				if err == nil || cmp.Diff(plain, got) != "" {
					t.Errorf("NextInstr %#x outside of the code: error %v", wrong, err)
				}
			}
		})
	}
}

// TestSubinterpreter reads both stacks of an OS thread that runs code in a
// second interpreter.
func TestSubinterpreter(t *testing.T) {
	for _, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			var want [2][][3]any
			p, r, ts := liveThreads(t, in, "subinterp.py", &want)
			var got [2][][3]any
			for _, th := range ts {
				s, err := r.Stack(p.m, th, Options{})
				if err != nil {
					t.Error(err)
				}
				if len(s.Frames) == 0 {
					continue // 3.13 keeps one for the interpreter itself
				}
				if th.Interp > 1 || th.NativeID != p.m.PID || th.Ident != ts[0].Ident {
					t.Fatalf("threads %+v", ts)
				}
				for _, f := range s.Frames {
					got[th.Interp] = append(got[th.Interp], [3]any{f.File, f.Func, float64(f.Line)})
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-Python +memory)\n%s", d)
			}
		})
	}
}

// TestLockHolder: one thread is in a system call with the lock, the other
// wants it.
func TestLockHolder(t *testing.T) {
	for _, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			if strings.HasPrefix(in.name, "static-") {
				t.Skip("ctypes finds no functions in a program that is linked statically")
			}
			p := startPython(t, in, "gil.py")
			p.line(t)
			p.awaitRead(t)
			r := openLive(t, in, p.m.PID)
			// A switch of the lock may be under way still.
			ts, err := r.Threads(p.m)
			for end := time.Now().Add(30 * time.Second); err == nil && len(ts) == 2 && ts[1].HasGIL && time.Now().Before(end); {
				time.Sleep(5 * time.Millisecond)
				ts, err = r.Threads(p.m)
			}
			if err != nil || len(ts) != 2 {
				t.Fatal(ts, err)
			}
			main, other := ts[0], ts[1]
			if main.HasGIL == r.FreeThreaded() || main.Name != "principál" || main.NativeID != p.m.PID {
				t.Errorf("main thread %+v", main)
			}
			if other.HasGIL || other.Name != "other" || other.NativeID != otherTask(t, p.m.PID) {
				t.Errorf("other thread %+v", other)
			}
			noID := *r.l // as if the version did not store the thread id
			noID.thread.nativeID = no
			r.l = &noID
			byGlibc, err := r.Threads(p.m)
			if d := cmp.Diff(ts, byGlibc); d != "" || err != nil {
				t.Errorf("ids by glibc's struct pthread: error %v\n%s", err, d)
			}
			r.TID = func(pthread uint64) (int, bool) { return 42, pthread == other.Ident }
			if ts, err = r.Threads(p.m); err != nil {
				t.Fatal(err)
			}
			if got := ts[1].NativeID; got != 42 {
				t.Errorf("with a function for thread ids: %d", got)
			}
		})
	}
}

// otherTask returns the id of the process's second thread.
func otherTask(t *testing.T, pid int) int {
	t.Helper()
	list, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if tid, _ := strconv.Atoi(e.Name()); tid != pid {
			return tid
		}
	}
	t.Fatal("no second thread")
	return 0
}

// pageLog records the pages read through it; without m it reads what it has
// recorded.
type pageLog struct {
	m     mem.Reader
	pages map[uint64][]byte
}

func (l *pageLog) ReadAt(p []byte, addr uint64) error {
	for len(p) > 0 {
		n := addr / pageSize
		b, ok := l.pages[n]
		if !ok && l.m != nil {
			b = make([]byte, pageSize)
			if err := l.m.ReadAt(b, n*pageSize); err != nil {
				return err
			}
			l.pages[n] = b
		} else if !ok {
			return &mem.Error{Addr: addr, Len: len(p), Err: os.ErrNotExist}
		}
		k := copy(p, b[addr%pageSize:])
		p, addr = p[k:], addr+uint64(k)
	}
	return nil
}

// TestDamagedMemory damages, word by word, memory that a real process had.
func TestDamagedMemory(t *testing.T) {
	for _, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			p := startPython(t, in, "values.py")
			p.line(t)
			p.awaitRead(t)
			log := &pageLog{m: p.m, pages: map[uint64][]byte{}}
			r := openLive(t, in, p.m.PID)
			readEverything(t, r, log, 0)
			log.m = nil
			var numbers []uint64
			for n := range log.pages {
				numbers = append(numbers, n)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			words := []uint64{0, 1, 2, 3, ^uint64(0), 1 << 31, 1 << 63, 1<<40 - 1, 0xffff_ffff}
			for range 150 {
				damaged := &pageLog{pages: map[uint64][]byte{}}
				for n, b := range log.pages {
					damaged.pages[n] = b
				}
				for range 1 + rng.IntN(200) {
					n := numbers[rng.IntN(len(numbers))]
					b := append([]byte(nil), damaged.pages[n]...)
					at := rng.IntN(pageSize/8) * 8
					switch rng.IntN(4) {
					case 0: // a pointer from elsewhere
						copy(b[at:at+8], log.pages[numbers[rng.IntN(len(numbers))]][rng.IntN(pageSize/8)*8:])
					case 1:
						b[at+rng.IntN(8)] ^= 1 << rng.IntN(8)
					default:
						w := words[rng.IntN(len(words))]
						for k := range 8 {
							b[at+k] = byte(w >> (8 * k))
						}
					}
					damaged.pages[n] = b
				}
				readEverything(t, r, damaged, rng.Uint64())
			}
		})
	}
}
