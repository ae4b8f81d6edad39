//go:build linux

package ptrace

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// The kernel reports the end of a process behind those of its other threads, and that
// is what its tracer goes by, whoever had turns before.
func TestEndsAreInTheOrderOfTheKernel(t *testing.T) {
	k := newFakeKernel(10, 11, 12, 20)
	w := &Waits{k: k}
	for _, tid := range []int{10, 11, 12} { // the leader waits for longest
		k.stop(tid)
		next(t, w, true)
	}
	for _, tid := range []int{10, 11, 12} {
		k.stopped[tid] = unix.WaitStatus(unix.SIGSEGV)
	}
	k.stop(20)
	var got []int
	for range 4 {
		got = append(got, next(t, w, false))
	}
	if want := []int{20, 12, 11, 10}; !slices.Equal(got, want) {
		t.Errorf("handed out %v, want %v", got, want)
	}
}

// The end of a process is reported only once those of its other threads were: who waits
// for the first takes them in.
func TestForOfAProcessThatDies(t *testing.T) {
	k := newFakeKernel(10, 11, 12)
	w := &Waits{k: k}
	end := unix.WaitStatus(unix.SIGKILL)
	died := false
	k.asleep = func(k *fakeKernel) error {
		if died {
			return unix.ECHILD
		}
		died = true
		k.stopped[11], k.stopped[12] = end, end
		k.reaped = func(tid int) {
			if tid == 11 { // the last of them
				k.stopped[10] = end
			}
		}
		return unix.EINTR
	}
	if st, err := w.For(10); err != nil || st != end {
		t.Errorf("%v, %v", st, err)
	}
	if a, b := next(t, w, false), next(t, w, false); a != 12 || b != 11 {
		t.Errorf("then the ends of %d and %d", a, b)
	}
}
