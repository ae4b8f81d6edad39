package cpython

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
)

// dispatchProgram goes through what changes frames: calls, cells, generators,
// coroutines, exceptions, constructors, C callbacks.
const dispatchProgram = `
import functools
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
def cells(a, *b, c=3):
    d = a
    def inner(e):
        nonlocal d
        d += e + c
        return d
    return inner(1) + len(b)
def gen(n):
    for i in range(n):
        try:
            yield i
        except GeneratorExit:
            return
def outer(n):
    yield from gen(n)
class Point:
    def __init__(self, x,
                 y):
        self.x = x
        self.y = (
            y
        )
    @property
    def sum(self):
        return self.x + self.y
    def __lt__(self, other):
        return self.sum < other.sum
async def coro(n):
    return n
async def many(n):
    return [await coro(i) for i in range(n)]
def run(c):
    try:
        c.send(None)
    except StopIteration as e:
        return e.value
def raises(n):
    try:
        return 1 / n
    except ZeroDivisionError:
        return 0
    finally:
        n = None
@functools.lru_cache(None)
def cached(n):
    return cached(n - 1) + 1 if n else 0
for k in range(30):
    fib(7)
    cells(1, 2, 3)
    sum(outer(10))
    next(gen(3))
    sorted(Point(i, -2 * i) for i in range(6))
    run(many(4))
    raises(k % 2)
    cached(k)
    [(lambda x: x * i)(i) for i in {a: b for a, b in zip('abc', (1, 2, 3))}.values()]
    exec('q = 1\nclass C:\n  r = q')
`

// TestStacksAtDispatch stops a program before instructions here and there.
// There the stack with the register's instruction must be the one that memory
// has once the instruction has begun and saved its address; up to 3.10, which
// saves it before the jump, memory must agree at the stop.
func TestStacksAtDispatch(t *testing.T) {
	for _, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			requireInterpreter(t, in)
			leaving := leavingOpcodes(t, in)
			var rt *Runtime
			stops, moved, shims := 0, 0, 0
			r := counted{slice: 101}
			check := func(clock *Installed, m ptrace.Mem, regs *linux.Regs) error {
				pid := int(m)
				if rt == nil {
					path, bias := pythonModule(t, pid)
					var err error
					if rt, err = OpenRuntime(filepath.Join(in.root, path), bias, m); err != nil {
						return err
					}
				}
				ts, err := rt.Threads(m)
				if err != nil {
					return err
				}
				if len(ts) != 1 || !ts[0].HasGIL && rt.Version.Minor != 8 && !rt.FreeThreaded() {
					return fmt.Errorf("threads %+v", ts)
				}
				if shim, err := topIsShim(rt, m, ts[0]); shim || err != nil {
					shims++
					return err
				}
				next := clock.NextInstr(m, regs)
				got, err := rt.Frames(m, ts[0], Options{NextInstr: next})
				if err != nil {
					return err
				}
				stops++
				if got[len(got)-1].Err != "" {
					return fmt.Errorf("last frame %+v", got[len(got)-1])
				}
				before, err := rt.Frames(m, ts[0], Options{})
				if err != nil {
					return err
				}
				if rt.Version.Minor <= 10 {
					return sameNext310(rt, m, before[0], next)
				}
				if _, _, op, _ := clock.Trap(regs.Rip); leaving[op] {
					return nil
				}
				if before[0].Line != got[0].Line {
					moved++
				}
				after, err := untilSaved(rt, m, pid, clock, regs, ts[0], got[0])
				if d := cmp.Diff(got, after); d != "" || err != nil {
					return fmt.Errorf("at the stop (-), after it (+): %v\n%s", err, d)
				}
				return nil
			}
			r.trap = func(clock *Installed, m ptrace.Mem, regs *linux.Regs) error {
				if t.Failed() {
					return nil // one difference is enough; let the program end
				}
				if err := check(clock, m, regs); err != nil {
					t.Errorf("stop %d: %v", stops+shims, err)
				}
				return nil
			}
			count(t, in, &r, "-c", dispatchProgram)
			t.Logf("%d stops, %d of which on another line than memory has, %d more in the interpreter's own frames", stops, moved, shims)
			if !t.Failed() && (stops < 300 || rt.Version.Minor >= 11 && moved < stops/20) {
				t.Errorf("too few stops to tell")
			}
		})
	}
}

// leavingOpcodes are the opcodes that leave their frame: they need not save
// their address, and a thread must not be taken back once it has run one.
func leavingOpcodes(t *testing.T, in interpreter) map[int]bool {
	t.Helper()
	out := native(t, in, "import opcode\n"+
		"m = dict(opcode.opmap, **getattr(opcode, '_specialized_opmap', {}))\n"+
		"print(*(v for k, v in m.items() if 'RETURN' in k or 'YIELD' in k or 'EXIT' in k))")
	ops := map[int]bool{}
	for _, s := range strings.Fields(out) {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		ops[n] = true
	}
	return ops
}

// untilSaved steps a thread from a dispatch stop until memory has the
// instruction of want, and returns the stack then. The thread's registers are
// the caller's to restore.
func untilSaved(rt *Runtime, m ptrace.Mem, pid int, clock *Installed, regs *linux.Regs, t Thread, want Frame) ([]Frame, error) {
	resume, _, _, _ := clock.Trap(regs.Rip)
	from := *regs
	from.Rip = resume
	if err := ptrace.SetRegs(pid, &from); err != nil {
		return nil, err
	}
	var last []Frame
	for range 60 {
		if err := unix.PtraceSingleStep(pid); err != nil {
			return nil, err
		}
		var st unix.WaitStatus
		if _, err := unix.Wait4(pid, &st, unix.WALL, nil); err != nil || !st.Stopped() || st.StopSignal() != unix.SIGTRAP {
			return nil, fmt.Errorf("step: %v %v", st, err)
		}
		frames, err := rt.Frames(m, t, Options{})
		if err != nil {
			return nil, err
		}
		if last = frames; frames[0].Addr == want.Addr && frames[0].Instr == want.Instr {
			break
		}
	}
	return last, nil
}

// topIsShim tells whether a thread runs the interpreter's own trampoline.
func topIsShim(rt *Runtime, m ptrace.Mem, t Thread) (bool, error) {
	v := newView(m)
	defer v.release()
	w := walk{r: rt, v: v}
	addr, err := w.top(t.Addr)
	if err != nil || rt.l.frame.owner == no {
		return false, err
	}
	f, err := v.record("frame", addr, rt.frameSize)
	if err != nil || f.u8(rt.l.frame.owner) >= ownedByCStack {
		return true, err
	}
	code := f.u64(rt.l.frame.code)
	if rt.l.rules.stackrefs {
		code &^= stackrefTags
	}
	_, key, err := rt.codeRecord(v, code)
	return key.filename == key.name, err
}

// sameNext310 checks that memory has the instruction next, or the prefix
// EXTENDED_ARG before it, which is what these versions keep meanwhile.
func sameNext310(rt *Runtime, m ptrace.Mem, f Frame, next uint64) error {
	const coCode = 48 // PyCodeObject.co_code (cpython/code.h, 3.8 to 3.10)
	v := newView(m)
	defer v.release()
	code, err := v.u64(f.Code + coCode)
	if err != nil {
		return err
	}
	const extendedArg = 144
	at := code + uint64(rt.l.bytes.value) + uint64(int64(f.Instr))
	for at < next {
		b, err := v.bytes(at, 1)
		if err != nil {
			return err
		}
		if b[0] != extendedArg {
			break
		}
		at += 2
	}
	if at != next {
		return fmt.Errorf("memory has the instruction at %#x, the register %#x: %+v", at, next, f)
	}
	return nil
}
