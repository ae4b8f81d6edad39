# Threads, a generator and a task hold locks in every form that a with statement
# has; prints as JSON what is held where, and what locks, queues and tasks are like,
# then blocks in os.read(0, 1).
import asyncio
import collections
import contextlib
import json
import os
import queue
import sys
import threading

out = {"held": [], "locks": [], "items": {}, "tasks": [], "futex": []}
ready = threading.Barrier(5)


def line():
    return sys._getframe(1).f_lineno


def held(func, obj, at):
    out["held"].append([func, id(obj), at])


@contextlib.contextmanager
def through(lock):
    with lock:
        yield


plain, nested, re, cond, dynamic = threading.Lock(), threading.Lock(), threading.RLock(), threading.Condition(), threading.Lock()
semaphore = threading.BoundedSemaphore(2)
free, stop = threading.Lock(), threading.Lock()
stop.acquire()


def holds_two():
    with plain, nested:
        held("holds_two", nested, line() - 1)
        held("holds_two", plain, line() - 2)
        for k in range(3):
            try:
                with semaphore:
                    held("holds_two", semaphore, line() - 1)
                    with free:
                        pass
                    ready.wait()
                    stop.acquire()
            finally:
                pass


def holds_recursively(n=2):
    with re:
        held("holds_recursively", re, line() - 1)
        if n:
            return holds_recursively(n - 1)
        ready.wait()
        stop.acquire()


def holds_condition():
    try:
        raise ValueError
    except ValueError:
        with cond:
            held("holds_condition", cond, line() - 1)
            with contextlib.suppress(KeyError) as unused:
                ready.wait()
                stop.acquire()


def holds_through():
    with through(dynamic):
        at = line() - 1
        held("holds_through", dynamic, at)
        with free:
            pass
        ready.wait()
        stop.acquire()


threads = [threading.Thread(target=f, daemon=True, name=f.__name__) for f in (holds_two, holds_recursively, holds_condition, holds_through)]
for t in threads:
    t.start()
ready.wait()


out["locks"] = [
    [id(plain), True, 0, 0],
    [id(nested), True, 0, 0],
    [id(free), False, 0, 0],
    [id(re), True, threads[1].ident, 3],
    [id(cond._lock), True, threads[2].ident, 1],
]
d = collections.deque(range(1000, 1200))
for _ in range(70):
    d.popleft()
d.appendleft(7000)
sq = queue.SimpleQueue()
for k in range(30):
    sq.put("item %d" % k)
for _ in range(7):
    sq.get()
out["items"] = {str(id(d)): [id(x) for x in d], str(id(sq)): None}
out["simple"] = [id(sq), ["item %d" % k for k in range(7, 30)]]


async def holds_async(lock, gate):
    async with lock:
        held("holds_async", lock, line() - 1)
        await gate.wait()


async def fails():
    raise KeyError("gone")


async def ends():
    return 5


async def forever():
    await asyncio.Event().wait()


async def main():
    alock, gate = asyncio.Lock(), asyncio.Event()
    all_tasks = [asyncio.ensure_future(c) for c in (holds_async(alock, gate), fails(), ends(), forever(), forever())]
    await asyncio.sleep(0.01)
    all_tasks[3].cancel()
    await asyncio.sleep(0.01)
    for t, how in zip(all_tasks, ["waits", "failed", "returned", "cancelled", "waits"]):
        out["tasks"].append([id(t), t.get_name(), how])
    print(json.dumps(out), flush=True)
    os.read(0, 1)
    os._exit(0)


asyncio.new_event_loop().run_until_complete(main())
