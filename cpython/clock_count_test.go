package cpython

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
)

// mixed uses most ways to dispatch an instruction: loops, calls, generators,
// exceptions, comprehensions, closures, classes, with, EXTENDED_ARG. %d
// scales it.
const mixed = `
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)

def gen(n):
    for i in range(n):
        got = yield i
        if got:
            yield -got

def chain(n):
    yield from gen(n)
    return n

class Box:
    def __init__(self, v):
        self.v = v
    def __add__(self, other):
        return Box(self.v + other.v)
    def __enter__(self):
        return self
    def __exit__(self, *exc):
        return True

def work(n):
    total = 0
    for i in range(n):
        total += i * 3 %% 7
        if i %% 5 == 0:
            try:
                raise ValueError(i)
            except ValueError as e:
                total += len(e.args)
            finally:
                total -= 1
    g = gen(n)
    next(g)
    for i in range(n // 2):
        total += g.send(i %% 2) or 0
        if i %% 2:
            next(g)
    total += sum(x for x in chain(n) if x & 1)
    total += sum([x * x for x in range(n)]) + len({x: -x for x in range(n)}) + len({str(x) for x in range(n)})
    box = Box(0)
    for i in range(n):
        with Box(i) as b:
            box = box + b
            if i %% 3 == 0:
                raise KeyError
    i = 0
    while True:
        i += 1
        if i > n:
            break
        f = lambda a, *r, k=i, **kw: a + k + len(r) + len(kw)
        total += f(i, i, z=1)
    return total + fib(n %% 7 + 5) + box.v, sorted(range(n), key=lambda v: -v)[:3]

N = %d
`

// observed are the ways in which mixed runs.
var observed = []struct{ name, call string }{
	{"plain", "print(work(N))"},
	{"settrace", `
import sys
events = []
def trace(frame, event, arg):
    events.append(event)
    return trace
sys.settrace(trace)
r = work(N)
sys.settrace(None)
print(r, len(events))
`},
	{"settrace without lines", `
import sys
sys.settrace(lambda frame, event, arg: None)
r = work(N)
sys.settrace(None)
print(r)
`},
	{"setprofile", `
import sys
events = []
sys.setprofile(lambda frame, event, arg: events.append(event))
r = work(N)
sys.setprofile(None)
print(r, len(events))
`},
}

// native runs the program without a tracer.
func native(t *testing.T, in interpreter, code string) string {
	t.Helper()
	argv := []string{in.path, "-s", "-S", "-B", "-c", code}
	if in.root != "" {
		argv = append([]string{"chroot", in.root}, argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = clockEnv, "/"
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", in.name, err)
	}
	return string(out)
}

// TestCountIsDeterministic holds that a program has one count, and the
// output that it has natively.
func TestCountIsDeterministic(t *testing.T) {
	runs := 5
	if testing.Short() {
		runs = 2
	}
	for _, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			requireInterpreter(t, in)
			for _, o := range observed {
				t.Run(o.name, func(t *testing.T) {
					code := fmt.Sprintf(mixed, 60) + o.call
					want := native(t, in, code)
					var counts []uint64
					for range runs {
						var r counted
						count(t, in, &r, "-c", code)
						if r.out != want {
							t.Errorf("output %q, natively %q", r.out, want)
						}
						counts = append(counts, r.count)
					}
					for _, c := range counts {
						if c != counts[0] || c < 10000 {
							t.Fatalf("counts differ: %d", counts)
						}
					}
					t.Logf("%d instructions", counts[0])
				})
			}
		})
	}
}

// growth returns by how much the count of a program grows from size a to b.
func growth(t *testing.T, in interpreter, program string, a, b int) uint64 {
	t.Helper()
	var small, large counted
	count(t, in, &small, "-c", strings.ReplaceAll(program, "SIZE", strconv.Itoa(a)))
	count(t, in, &large, "-c", strings.ReplaceAll(program, "SIZE", strconv.Itoa(b)))
	return large.count - small.count
}

// TestCountOfLoop holds the count against what dis shows of a loop's body.
func TestCountOfLoop(t *testing.T) {
	const loop = `
def loop(n):
    for i in range(n):
        pass
`
	// How many instructions dis shows from FOR_ITER to the jump back, and what
	// a trace function that returns at once takes.
	const show = loop + `
import dis
def body(f):
    names = [i.opname for i in dis.get_instructions(f) if i.opname != "CACHE"]
    start = names.index("FOR_ITER")
    end = next(i for i in range(start, len(names)) if names[i].startswith("JUMP_"))
    return end - start + 1
def trace(frame, event, arg):
    return trace
print(body(loop), len(list(dis.get_instructions(trace))))
`
	const from, to = 1000, 3500
	for _, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			requireInterpreter(t, in)
			var body, tracer uint64
			if _, err := fmt.Sscan(native(t, in, show), &body, &tracer); err != nil {
				t.Fatal(err)
			}
			if body != 3 {
				t.Fatalf("dis shows %d instructions in the loop", body)
			}
			tests := []struct {
				name, call string
				each       uint64 // instructions of an iteration
			}{
				{"plain", "loop(SIZE)", body},
				{"module", "for i in range(SIZE): pass", body},
				{"settrace without lines", "import sys\nsys.settrace(lambda f, e, a: None)\nloop(SIZE)", body},
				{"setprofile", "import sys\nsys.setprofile(lambda f, e, a: None)\nloop(SIZE)", body},
				// Two lines an iteration, each with a call of the trace function.
				{"settrace", "import sys\ndef trace(f, e, a): return trace\nsys.settrace(trace)\nloop(SIZE)", body + 2*tracer},
			}
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					got := growth(t, in, loop+tt.call, from, to)
					if got%(to-from) != 0 {
						t.Fatalf("%d more iterations are %d more instructions", to-from, got)
					}
					if each := got / (to - from); each != tt.each {
						t.Errorf("an iteration has %d instructions, want %d", each, tt.each)
					} else {
						t.Logf("an iteration has %d instructions", each)
					}
				})
			}
		})
	}
}

func minorOf(t *testing.T, in interpreter) int {
	t.Helper()
	_, rest, _ := strings.Cut(in.name, "-3.")
	minor, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(strings.TrimSuffix(minor, "t"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestCountsAgreeAcrossBuilds holds that the builds of one minor version,
// whatever the compiler and its options, count the same program alike (those of
// 3.13t, which does not specialise instructions, among themselves). Starting up differs (modules, paths), so that what a bigger size adds is compared.
func TestCountsAgreeAcrossBuilds(t *testing.T) {
	type result struct {
		name   string
		growth map[string]uint64
	}
	byVersion := map[string][]result{}
	for _, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			requireInterpreter(t, in)
			r := result{in.name, map[string]uint64{}}
			for _, o := range observed {
				r.growth[o.name] = growth(t, in, strings.ReplaceAll(fmt.Sprintf(mixed, 0), "N = 0", "N = SIZE")+o.call, 40, 150)
			}
			version := fmt.Sprintf("3.%d", minorOf(t, in))
			if strings.HasSuffix(in.name, "t") {
				version += "t"
			}
			byVersion[version] = append(byVersion[version], r)
		})
	}
	for version, rs := range byVersion {
		for _, r := range rs[1:] {
			if diff := cmp.Diff(rs[0].growth, r.growth); diff != "" {
				t.Errorf("%s: %s (-), %s (+):\n%s", version, rs[0].name, r.name, diff)
			}
		}
		t.Logf("%s: %d builds, %v", version, len(rs), rs[0].growth)
	}
}

// TestStopsAtInstruction stops at each multiple of a number of instructions.
func TestStopsAtInstruction(t *testing.T) {
	for _, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			requireInterpreter(t, in)
			for _, o := range observed {
				t.Run(o.name, func(t *testing.T) {
					code := fmt.Sprintf(mixed, 30) + o.call
					var free counted
					count(t, in, &free, "-c", code)
					var stops [2][]string
					for i := range stops {
						r := counted{slice: 96}
						r.trap = func(in *Installed, m ptrace.Mem, regs *linux.Regs) error {
							_, handler, op, _ := in.Trap(regs.Rip)
							stops[i] = append(stops[i], fmt.Sprintf("%d at %#x", op, handler-in.bias))
							return in.Verify(m, regs)
						}
						count(t, in, &r, "-c", code)
						if r.count != free.count || r.out != free.out {
							t.Errorf("%d instructions with stops, %d without", r.count, free.count)
						}
						if want := int(r.count / 97); len(stops[i]) != want {
							t.Errorf("%d stops, want %d", len(stops[i]), want)
						}
					}
					if diff := cmp.Diff(stops[0], stops[1]); diff != "" {
						t.Errorf("stops differ:\n%s", diff)
					}
				})
			}
		})
	}
}
