package capture

import (
	"fmt"
	"strings"
	"testing"
)

// A thread that spends its time in long calls of a library that keep the GIL gives way
// after CPython's switch interval, in processor time, not after a slice of bytecode, which
// would take it minutes: meanwhile another thread begins and ends.
func TestLongNativeCallsGiveWay(t *testing.T) {
	_, dir := runPython(t, `
import random, threading
data = list(range(200000))
random.Random(1).shuffle(data)
order, rounds = [], 0
def native():
    global rounds
    while "quick" not in order and rounds < 60:
        sorted(data)
        rounds += 1
    order.append("native")
def quick():
    order.append("quick")
threads = [threading.Thread(target=f) for f in (native, quick)]
for t in threads: t.start()
for t in threads: t.join()
print(*order, rounds)
`, Options{})
	if got := output(t, dir); !strings.HasPrefix(got, "quick native ") {
		t.Errorf("the program prints %q: the waiting thread came last", got)
	}
}

// A thread that was woken gets the GIL when the running thread has used CPython's switch
// interval of processor time: it waits for no slice to end, neither before it begins to
// wait for the GIL nor when it asks for it.
func TestWokenThreadsAskAfterTheInterval(t *testing.T) {
	_, dir := runPython(t, `
import threading, time
took = []
for _ in range(40): # where all share a processor, who is woken may wait for that, too
    woken, done = threading.Event(), []
    other = threading.Thread(target=lambda: woken.wait() and done.append(1))
    other.start()
    time.sleep(0.001)
    began = time.thread_time()
    woken.set()
    while not done:
        sum(range(300))
    took.append(time.thread_time() - began)
    other.join()
print(round(1000 * min(took), 1))
`, Options{})
	var ms float64
	if _, err := fmt.Sscan(output(t, dir), &ms); err != nil || ms < 0.1 || ms > 8.5 {
		t.Errorf("the thread ran on for %v ms, %v; the interval is 5 ms", ms, err)
	}
}

// A thread that lets go of the GIL only for moments, in calls of a library that make no
// system call, leaves the GIL to the threads that it wakes for it. Otherwise they would find
// it taken again each time that they get the slot, and would never run.
func TestWokenThreadsGetTheGIL(t *testing.T) {
	_, dir := runPython(t, `
import threading, time, zlib
data, done, n = b"x" * 6000, [], 0
def work():
    global n
    while not done and n < 500000:
        zlib.crc32(data)  # of so much without the GIL
        n += 1
other = threading.Thread(target=work)
other.start()
for _ in range(20):
    time.sleep(0.0001)
done.append(1)
other.join()
print(n)
`, Options{})
	var n int
	if _, err := fmt.Sscan(output(t, dir), &n); err != nil || n >= 300000 {
		t.Errorf("the other thread called %d times until 20 short sleeps were over, %v", n, err)
	}
}

// Two threads take two locks in opposite order, with some work in between that one
// instruction does. Natively the first asks for the GIL within CPython's switch interval,
// while the other one has its first lock, and both wait for ever. So it is when recorded,
// without --chaos: after slices of instructions, of which none is long enough to end one,
// each thread would be done before the other begins.
func TestRacesShowAsNatively(t *testing.T) {
	const program = `
import threading
a, b = threading.Lock(), threading.Lock()
row = range(1000)
def transfer(first, second):
    for _ in range(2000):
        with first:
            sum(row)
            with second:
                pass
threads = [threading.Thread(target=transfer, args=x, daemon=True) for x in ((a, b), (b, a))]
for t in threads: t.start()
for t in threads: t.join(2)
print(*("waits" if t.is_alive() else "done" for t in threads), flush=True)
`
	// The window is nearly all of a round; but on a busy machine one thread may be done before
	// the other begins.
	for range 12 {
		_, dir := runPython(t, program, Options{})
		if got := output(t, dir); got == "waits waits" {
			return
		}
	}
	t.Error("no run of twelve hangs")
}
