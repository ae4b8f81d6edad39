package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pyrr/internal/probe"
	"pyrr/internal/setup"
)

// TestTasksOfOtherCoroutines: a task may run what is no coroutine of the interpreter's own,
// as packages made with Cython have them. It hides none of the others.
func TestTasksOfOtherCoroutines(t *testing.T) {
	t.Parallel()
	probe.Require(t)
	const python = "/usr/bin/python3.11"
	if _, err := os.Stat(python); err != nil {
		t.Skip("no python3.11")
	}
	dir := t.TempDir()
	program, rec := filepath.Join(dir, "program.py"), filepath.Join(dir, "tasks.pyrr.zip")
	if err := os.WriteFile(program, []byte(`import asyncio, collections.abc, time

class Other(collections.abc.Coroutine):
    def __await__(self): return self
    def send(self, value): return None
    def throw(self, *args): raise StopIteration
    def close(self): pass

async def waits(event):
    await event.wait()

async def blocks():
    time.sleep(600)

async def main():
    others = [asyncio.create_task(Other(), name=f"other-{n}") for n in range(60)]
    waiting = asyncio.create_task(waits(asyncio.Event()), name="waiting")
    await asyncio.sleep(0)
    await asyncio.create_task(blocks(), name="blocking")

asyncio.run(main())
`), 0o600); err != nil {
		t.Fatal(err)
	}
	capturePyrr("record", "--timeout", setup.Timeout("3s"), "-o", rec, "--", python, program)
	status, out, errs := capturePyrr("bt", "--tasks", rec)
	if status != 0 || !strings.Contains(out, `task "waiting"`) || !strings.Contains(out, `task "blocking"`) {
		t.Errorf("status %d\n%s%s", status, out, errs)
	}
	if _, out, _ := capturePyrr("explain", rec); !strings.HasPrefix(out, "No verdict: MainThread (task blocking) sleeps") {
		t.Error(out)
	}
}
