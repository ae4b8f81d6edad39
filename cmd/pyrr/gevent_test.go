package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pyrr/internal/probe"
	"pyrr/internal/setup"
)

// TestGreenletsOfGevent records a program in which greenlets wait for each
// other: each is listed with the stack that it was suspended with, and the hub
// with its own.
func TestGreenletsOfGevent(t *testing.T) {
	t.Parallel()
	probe.Require(t)
	python := setup.Path("venv-greenlet/bin/python")
	if _, err := os.Stat(python); err != nil {
		t.Skip("no gevent: scripts/venv.sh greenlet")
	}
	dir := t.TempDir()
	program, rec := filepath.Join(dir, "program.py"), filepath.Join(dir, "gevent.pyrr.zip")
	if err := os.WriteFile(program, []byte(`import os
import gevent
from gevent.event import Event
from gevent.queue import Queue

never, queue = Event(), Queue()

def wait_event(n):
    never.wait()

def wait_queue():
    return queue.get()

def last():
    gevent.sleep(0.01)
    os._exit(0)

workers = [gevent.spawn(wait_event, 1), gevent.spawn(wait_event, 2), gevent.spawn(wait_queue), gevent.spawn(last)]
gevent.joinall(workers)
`), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := capturePyrr("record", "-o", rec, "--", python, program); status != 0 {
		t.Fatalf("record: status %d\n%s", status, errs)
	}
	status, out, errs := capturePyrr("bt", "--tasks", rec)
	if status != 0 {
		t.Fatalf("bt: status %d\n%s", status, errs)
	}
	for re, want := range map[string]int{
		`(?m)^greenlet Greenlet 0x[0-9a-f]+ is suspended at `: 3,
		`(?m)^  Py  wait_event +\S*program\.py:9 `:            2,
		`(?m)^  Py  wait_queue +\S*program\.py:12 `:           1,
		`(?m)^  Py  <module> +\S*program\.py:19 `:             1, // the main greenlet
	} {
		n := len(regexp.MustCompile(re).FindAllString(out, -1))
		if want >= 0 && n != want {
			t.Errorf("%s: %d times, want %d", re, n, want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

// hangsOfGevent are programs that hang, what pyrr explain says of each, and what never.
var hangsOfGevent = map[string]struct{ text, want, never string }{
	"blocked": {`import queue
import gevent

jobs = queue.Queue()

def take():
    print(jobs.get())

def give():
    gevent.sleep(0.1)
    jobs.put(1)

gevent.joinall([gevent.spawn(give), gevent.spawn(take)])
`, "MainThread waits for an item of queue jobs (blocked.py:7), which greenlet give has at hand, which can't run while MainThread blocks gevent's loop.", "No verdict"},
	"hub of eventlet": {`import os, sys, tempfile
FILES = {"hubs/hub.py": """
import greenlet, time
class BaseHub:
    def __init__(self):
        self.ready, self.greenlet = [], greenlet.greenlet(self.run)
    def switch(self):
        return self.greenlet.switch()
    def run(self):
        while True:
            while self.ready:
                self.ready.pop(0)()
            time.sleep(60)
hub = BaseHub()
""", "queue.py": """
import greenlet
from .hubs.hub import hub
class Queue:
    def __init__(self):
        self.entries, self.getters = [], []
    def put(self, item):
        self.entries.append(item)
        while self.getters:
            hub.ready.append(self.getters.pop().switch)
    def get(self, timeout=None):
        while not self.entries:
            self.getters.append(greenlet.getcurrent())
            hub.switch()
        return self.entries.pop(0)
""", "greenthread.py": """
import greenlet
from .hubs.hub import hub
class GreenThread(greenlet.greenlet):
    def __init__(self, function, *args):
        super().__init__(self.main, hub.greenlet)
        self.function, self.args, self.waiters = function, args, []
        hub.ready.append(self.switch)
    def main(self):
        self.function(*self.args)
        hub.ready += [w.switch for w in self.waiters]
    def wait(self):
        self.waiters.append(greenlet.getcurrent())
        hub.switch()
"""}
sys.path.insert(0, os.path.join(tempfile.mkdtemp(), "site-packages"))
os.makedirs(sys.path[0] + "/eventlet/hubs")
for name, text in FILES.items():
    open(sys.path[0] + "/eventlet/" + name, "w").write(text)
from eventlet.queue import Queue
from eventlet.greenthread import GreenThread

def worker(jobs):
    while jobs.get() is not None:
        pass

jobs = Queue()
g = GreenThread(worker, jobs)
jobs.put(1)
g.wait()
`, "The main greenlet joins greenlet worker (hub of eventlet.py:59 in GreenThread.wait), which waits for an item of queue jobs (hub of eventlet.py:53 in Queue.get)", "time limit"},
	"turns": {`import gevent
from gevent.pool import Pool

def work(n):
    gevent.sleep(0.3)

pool = Pool(2)
for n in range(2000):
    pool.spawn(work, n)
`, "held by greenlet work and 1 more, which sleeps (turns.py:5", "not released"},
	"died": {`import gevent
from gevent.queue import JoinableQueue

q = JoinableQueue()

def worker(prices):
    while True:
        print(prices[q.get()])
        q.task_done()

gevent.spawn(worker, {"tea": 3})
for name in ("tea", "rum", "jam"):
    q.put(name)
q.join()
`, "MainThread waits in Queue.join (died.py:14), which nothing can end any more (gevent's LoopExit); greenlet worker died of KeyError: 'rum' (died.py:8).", "Hub("},
	"died beside": {`import gevent
from gevent.event import Event

done = Event()

def worker(n):
    print(10 // n)
    done.set()

def heartbeat():
    while True:
        gevent.sleep(0.2)

gevent.spawn(worker, 0)
gevent.spawn(heartbeat)
done.wait()
`, "The main greenlet waits for event done (died beside.py:16), which nobody sets; greenlet worker died of ZeroDivisionError: ", "<module>"},
	"join beside": {`import gevent
from gevent.queue import JoinableQueue

q = JoinableQueue()

def worker():
    while True:
        print(1 / q.get())
        q.task_done()

def heartbeat():
    while True:
        gevent.sleep(0.2)

gevent.spawn(heartbeat)
gevent.spawn(worker)
for n in (1, 0):
    q.put(n)
q.join()
`, "The main greenlet waits in q.join (join beside.py:19) for jobs that nobody reports done; greenlet worker died of ZeroDivisionError: division by zero", "waits for an item"},
	"full beside": {`import gevent
from gevent.queue import Queue

q = Queue(1)

def worker():
    print(1 / q.get())

def heartbeat():
    while True:
        gevent.sleep(0.2)

gevent.spawn(heartbeat)
gevent.spawn(worker)
for n in (0, 1, 2):
    q.put(n)
`, "The main greenlet waits for room in queue q (full beside.py:16), which is full; greenlet worker died of ZeroDivisionError: ", "waits for an item"},
	"pool": {`import gevent
from gevent.pool import Pool

pool = Pool(2)
links = {"/": ["/a", "/b"], "/x": ["/c"]}

def crawl(page):
    gevent.sleep(0.01)
    for link in links.get(page, ()):
        pool.spawn(crawl, link)

def heartbeat():
    while True:
        gevent.sleep(0.2)

gevent.spawn(heartbeat)
pool.spawn(crawl, "/")
pool.spawn(crawl, "/x")
pool.join()
`, "Greenlet crawl waits for semaphore of Pool (pool.py:10 in Pool.add), held by greenlet crawl and 1 more", "MainThread"},
	"circle": {`import gevent
from gevent.lock import RLock

a, b = RLock(), RLock()

def left():
    with a:
        gevent.sleep(0.01)
        with b:
            pass

def right():
    with b:
        gevent.sleep(0.01)
        with a:
            pass

gevent.joinall([gevent.spawn(left), gevent.spawn(right)])
`, "MainThread waits in joinall (circle.py:18), which nothing can end any more (gevent's LoopExit); deadlock: greenlet ", "Hub("},
}

// TestHangsOfGevent: greenlets can't run while a greenlet blocks their thread, and those
// that sleep may release what others wait for. A greenlet that died, or a circle of some,
// is why gevent ends the waiting of another one.
func TestHangsOfGevent(t *testing.T) {
	t.Parallel()
	probe.Require(t)
	python := setup.Path("venv-greenlet/bin/python")
	if _, err := os.Stat(python); err != nil {
		t.Skip("no gevent: scripts/venv.sh greenlet")
	}
	for name, run := range hangsOfGevent {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			program := filepath.Join(dir, name+".py")
			if err := os.WriteFile(program, []byte(run.text), 0o600); err != nil {
				t.Fatal(err)
			}
			var status int
			var said, errs string
			// On a busy machine it may still be at its imports, which take a second of a processor.
			for _, limit := range []string{"5s", "20s", "60s"} {
				rec := filepath.Join(dir, limit+".pyrr.zip")
				capturePyrr("record", "--timeout", setup.Timeout(limit), "-o", rec, "--", python, program)
				status, said, errs = capturePyrr("explain", "--full", rec)
				if said, _, _ = strings.Cut(said, "\n"); !strings.HasPrefix(said, "No verdict") {
					break
				}
			}
			if status != 0 || !strings.Contains(said, run.want) || strings.Contains(said, run.never) {
				t.Errorf("status %d: %s\n%s", status, said, errs)
			}
		})
	}
}
