package capture

import (
	"strings"
	"testing"
)

// A thread that spends its time in long calls of a library, which keep the GIL, gives
// way after CPython's switch interval of processor time, not after a slice of bytecode,
// which would take it minutes: another thread begins, and ends, meanwhile.
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
		t.Errorf("it prints %q: the waiting thread came last", got)
	}
}
