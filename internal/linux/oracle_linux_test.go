package linux

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"pyrr/internal/mem"
)

// The oracle: real system calls on this kernel, with every buffer filled with a
// pattern and ending at an unreadable page. Each call is made twice, with
// different patterns, so that a byte which the kernel writes shows in one of
// them at least. Every byte that changed must lie in Outputs' ranges, and these
// must lie in the buffers.

// outputsFunc is the type of Outputs; the oracle's own test gives it wrong ones.
type outputsFunc func(int, [6]uint64, int64, mem.Reader, []mem.Range) ([]mem.Range, error)

// region is one buffer: size bytes that end where a guard page begins.
type region struct {
	all    []byte // the whole pages before the guard
	before []byte // what the bytes were before the call
	start  uint64 // of the buffer
	end    uint64
}

type oracle struct {
	t       *testing.T
	pattern byte
	outputs outputsFunc
	regions []*region
	faults  []string
	// made counts the calls of each number that did not fail.
	made map[int]int
}

// buf makes a buffer of n bytes filled with the pattern.
func (o *oracle) buf(n int) uint64 {
	o.t.Helper()
	page := os.Getpagesize()
	size := (n + page - 1) / page * page
	all, err := unix.Mmap(-1, 0, size+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		o.t.Fatal(err)
	}
	if err := unix.Mprotect(all[size:], unix.PROT_NONE); err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { unix.Munmap(all) })
	for i := range all[:size] {
		all[i] = o.pattern
	}
	end := uint64(uintptr(unsafe.Pointer(&all[0]))) + uint64(size)
	o.regions = append(o.regions, &region{all: all[:size], start: end - uint64(n), end: end})
	return end - uint64(n)
}

// in makes a buffer that holds b.
func (o *oracle) in(parts ...any) uint64 {
	o.t.Helper()
	b := le(parts...)
	addr := o.buf(len(b))
	copy(o.at(addr, len(b)), b)
	return addr
}

func (o *oracle) str(s string) uint64 { o.t.Helper(); return o.in(s + "\x00") }

// at returns n bytes of a buffer.
func (o *oracle) at(addr uint64, n int) []byte {
	for _, r := range o.regions {
		if addr >= r.start && addr+uint64(n) <= r.end {
			off := len(r.all) - int(r.end-addr)
			return r.all[off : off+n]
		}
	}
	o.t.Fatalf("no buffer at %#x", addr)
	return nil
}

// guard returns the address of an unreadable page.
func (o *oracle) guard() uint64 { return o.buf(1) + 1 }

// raw makes a system call and returns its raw result.
func raw(nr int, a [6]uint64) int64 {
	r, _, e := unix.RawSyscall6(uintptr(nr), uintptr(a[0]), uintptr(a[1]), uintptr(a[2]), uintptr(a[3]), uintptr(a[4]), uintptr(a[5]))
	if e != 0 {
		return -int64(e)
	}
	return int64(r)
}

// call makes a system call and compares its outputs with the table.
func (o *oracle) call(name string, args ...uint64) int64 {
	o.t.Helper()
	nr, ok := Number(name)
	if !ok {
		o.t.Fatalf("no system call %q", name)
	}
	var a [6]uint64
	copy(a[:], args)
	return o.watch(nr, a, func() int64 { return raw(nr, a) })
}

// ok is call for a system call that has to succeed. The Go runtime's own signals may
// interrupt it.
func (o *oracle) ok(name string, args ...uint64) int64 {
	o.t.Helper()
	ret := o.call(name, args...)
	for range 10 {
		if ret != -int64(unix.EINTR) {
			break
		}
		ret = o.call(name, args...)
	}
	if ret < 0 && ret > -4096 {
		o.t.Fatalf("%s: %v", name, unix.Errno(-ret))
	}
	return ret
}

// try is call for a system call that this kernel or container may refuse.
func (o *oracle) try(name string, args ...uint64) int64 {
	o.t.Helper()
	ret := o.call(name, args...)
	if ret < 0 && ret > -4096 {
		o.t.Logf("%s: %v", name, unix.Errno(-ret))
	}
	return ret
}

func (o *oracle) watch(nr int, a [6]uint64, do func() int64) int64 {
	for _, r := range o.regions {
		r.before = append(r.before[:0], r.all...)
	}
	ret := do()
	if ret >= 0 || ret < -4095 {
		o.made[nr]++
	}
	ranges, err := o.outputs(nr, a, ret, mem.Live{PID: os.Getpid()}, nil)
	if err != nil {
		o.fault("%s: %v", Name(nr), err)
	}
	for _, r := range ranges {
		if _, err := mem.Bytes(mem.Live{PID: os.Getpid()}, r.Addr, int(r.Len)); err != nil {
			o.fault("%s: an output can't be read: %v", Name(nr), err)
		}
		if !o.within(r) {
			o.fault("%s: output of %d bytes at %#x is not inside a buffer: %s", Name(nr), r.Len, r.Addr, o.layout())
		}
	}
	for i, r := range o.regions {
		base := r.end - uint64(len(r.all))
		for k := range r.all {
			if r.all[k] != r.before[k] && !covered(ranges, base+uint64(k)) {
				o.fault("%s = %d: the kernel wrote byte %d of buffer %d (of %d), which is in no output", Name(nr), ret, int64(base+uint64(k)-r.start), i, r.end-r.start)
				break
			}
		}
	}
	return ret
}

func (o *oracle) fault(format string, a ...any) {
	o.faults = append(o.faults, fmt.Sprintf(format, a...))
}

func (o *oracle) within(r mem.Range) bool {
	for _, g := range o.regions {
		if r.Addr >= g.start && r.Addr+r.Len <= g.end {
			return true
		}
	}
	return false
}

func (o *oracle) layout() string {
	var s []string
	for _, r := range o.regions {
		s = append(s, fmt.Sprintf("%#x-%#x", r.start, r.end))
	}
	return strings.Join(s, " ")
}

func covered(ranges []mem.Range, addr uint64) bool {
	for _, r := range ranges {
		if addr >= r.Addr && addr-r.Addr < r.Len {
			return true
		}
	}
	return false
}

var patterns = []byte{0xaa, 0x55}

// runOracle makes the calls of f with each pattern and returns what is wrong.
func runOracle(t *testing.T, outputs outputsFunc, made map[int]int, f func(*oracle)) []string {
	var faults []string
	for _, p := range patterns {
		o := &oracle{t: t, pattern: p, outputs: outputs, made: made}
		func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			f(o)
		}()
		faults = append(faults, o.faults...)
	}
	return faults
}

func TestOutputsCoverWhatTheKernelWrites(t *testing.T) {
	made := map[int]int{}
	for _, tt := range oracleCalls {
		t.Run(tt.name, func(t *testing.T) {
			for _, f := range runOracle(t, Outputs, made, tt.run) {
				t.Error(f)
			}
		})
	}
	if t.Failed() {
		return
	}
	t.Logf("%d different system calls succeeded", len(made))
	if len(made) < 120 {
		t.Errorf("only %d different system calls were made, want at least 120", len(made))
	}
	// Every row with outputs is exercised, or stands here with the reason.
	for nr, s := range table {
		if s == nil || len(s.Outs) == 0 || made[nr] > 0 {
			continue
		}
		if _, ok := notExercised[s.Name]; !ok {
			t.Errorf("%s has outputs and was not made successfully", s.Name)
		}
	}
}

// The oracle must notice a table that is wrong.
func TestOracleNoticesWrongOutputs(t *testing.T) {
	short := func(nr int, a [6]uint64, ret int64, m mem.Reader, dst []mem.Range) ([]mem.Range, error) {
		dst, err := Outputs(nr, a, ret, m, dst)
		for i := range dst {
			dst[i].Len--
		}
		return dst, err
	}
	long := func(nr int, a [6]uint64, ret int64, m mem.Reader, dst []mem.Range) ([]mem.Range, error) {
		dst, err := Outputs(nr, a, ret, m, dst)
		for i := range dst {
			dst[i].Len++
		}
		return dst, err
	}
	none := func(nr int, a [6]uint64, ret int64, m mem.Reader, dst []mem.Range) ([]mem.Range, error) {
		return dst, nil
	}
	uname := func(o *oracle) { o.ok("uname", o.buf(390)) }
	pipe := func(o *oracle) {
		fds := o.buf(8)
		o.ok("pipe2", fds, 0)
		r, w := le32(o.at(fds, 8)), le32(o.at(fds, 8)[4:])
		defer unix.Close(int(w))
		defer unix.Close(int(r))
		unix.Write(int(w), []byte("0123456789"))
		// More room than the result: only the result is written.
		o.ok("read", uint64(r), o.buf(10), 10)
	}
	for _, tt := range []struct {
		name    string
		outputs outputsFunc
		run     func(*oracle)
		bad     bool
	}{
		{"right uname", Outputs, uname, false},
		{"right pipe and read", Outputs, pipe, false},
		{"uname unknown", none, uname, true},
		{"uname one byte long", long, uname, true},
		{"read one byte short", short, pipe, true},
		{"read one byte long", long, pipe, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			faults := runOracle(t, tt.outputs, map[int]int{}, tt.run)
			if got := len(faults) > 0; got != tt.bad {
				t.Errorf("noticed %q, want notice: %v", faults, tt.bad)
			}
		})
	}
}
