# At each of many points prints, as JSON, what Python knows of its asyncio
# tasks: name, whether it runs, what it waits for, and the stack of coroutines,
# innermost first; then blocks in os.read(0, 1) until told to go on.
# Usage: taskpoints.py SEED POINTS
import asyncio
import contextlib
import gc
import json
import os
import random
import sys
import threading

seed, points = int(sys.argv[1]), int(sys.argv[2])
rng = random.Random(seed)
count = 0
loops = []
QUALNAME = sys.version_info >= (3, 11)


def frame(f, line=None):
    c = f.f_code
    return [c.co_filename, c.co_qualname if QUALNAME else c.co_name, line or f.f_lineno]


def chain(c):
    """Frames of a suspended coroutine and of what it awaits, outermost first."""
    out = []
    while c is not None:
        for p, nxt in (("cr", "await"), ("gi", "yieldfrom"), ("ag", "await")):
            if hasattr(c, p + "_frame"):
                f = getattr(c, p + "_frame")
                if f is None:
                    return out
                out.append(frame(f))
                c = getattr(c, "%s_%s" % (p, nxt))
                break
        else:
            if type(c).__name__ in ("async_generator_asend", "async_generator_athrow", "coroutine_wrapper", "anext_awaitable"):
                # Python has no attribute for it.
                c = [r for r in gc.get_referents(c) if hasattr(r, "ag_frame") or hasattr(r, "cr_frame") or type(r).__name__.startswith("async_generator_a")][0]
            else:
                return out
    return out


# From 3.14 on tasks of the class that is written in Python are kept apart.
CURRENT = [asyncio.current_task] + [f for f in [getattr(asyncio.tasks, "_py_current_task", None)] if f]


def waits(t):
    w = t._fut_waiter
    if w is None:
        return ""
    if isinstance(w, (asyncio.Task, asyncio.tasks._PyTask)):
        return "task " + w.get_name()
    kind = type(w).__name__
    if kind == "_GatheringFuture":
        names = [c.get_name() for c in w._children if isinstance(c, (asyncio.Task, asyncio.tasks._PyTask)) and not c.done()]
        return "gather of " + (", ".join(names) if names else str(len(w._children)))
    return "future" if kind == "Future" else "future " + kind


def describe(t, top):
    run = t.get_loop().is_running() and any(t is f(t.get_loop()) for f in CURRENT)
    d = {"addr": id(t), "loop": id(t.get_loop()), "name": t.get_name(), "running": bool(run), "waits": waits(t)}
    co = t.get_coro()
    if run:
        # What runs is on the stack of the thread of its loop.
        f, frames, mine = top, [], None
        while f is not None:
            frames.append(f)
            if f is co.cr_frame:
                mine = list(frames)
            f = f.f_back
        d["frames"] = mine
    else:
        d["frames"] = [x for x in reversed(chain(co))]
    return d


def point():
    global count
    count += 1
    me = sys._getframe()
    out = []
    for loop in loops:
        tasks = asyncio.all_tasks(loop)
        if hasattr(asyncio.tasks, "_py_all_tasks"):  # from 3.14 on the others are not among them
            tasks |= asyncio.tasks._py_all_tasks(loop)
        for t in tasks:
            d = describe(t, me)
            if d["running"]:
                d["frames"] = [frame(f, CALL_LINE if f is me else None) for f in d["frames"]]
            out.append(d)
    data = json.dumps({"point": count, "tasks": out}).encode() + b"\n"
    os.write(1, data), os.read(0, 1); CALL_LINE_HERE = 1
    if count >= points:
        os._exit(0)


CALL_LINE = next(i for i, s in enumerate(open(__file__, encoding="utf-8"), 1) if s.endswith("CALL_LINE_HERE = 1\n"))


class Wait:
    """An awaitable of Python's own."""

    def __init__(self, fut):
        self.fut = fut

    def __await__(self):
        return (yield from self.fut.__await__())


async def numbers(n):
    for i in range(n):
        await nap()
        yield i


async def nap():
    await asyncio.sleep(rng.choice([0, 0.001, 0.003]))


@contextlib.asynccontextmanager
async def around(n):
    await nap()
    yield n
    await nap()


async def work(depth):
    kind = rng.randrange(14)
    if depth <= 0 or kind == 0:
        await nap()
    elif kind == 1:
        await work(depth - 1)
    elif kind == 2:
        await asyncio.gather(*(work(depth - 1) for _ in range(rng.randrange(1, 4))))
    elif kind == 3:
        t = asyncio.ensure_future(work(depth - 1))
        await t
    elif kind == 4:
        async for i in numbers(2):
            if rng.random() < .5:
                point()
    elif kind == 5:
        async with around(1) as x:
            await work(depth - 1)
    elif kind == 6:
        e = asyncio.Event()
        t = asyncio.ensure_future(setter(e, depth))
        await e.wait()
        await t
    elif kind == 7:
        q = asyncio.Queue()
        t = asyncio.ensure_future(putter(q, depth))
        await q.get()
        await t
    elif kind == 8:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(work(depth - 1), rng.choice([0.002, 5]))
    elif kind == 9:
        await asyncio.wait([asyncio.ensure_future(work(depth - 1)) for _ in range(2)])
    elif kind == 10:
        f = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.001, lambda: f.done() or f.set_result(1))
        await Wait(f)
    elif kind == 11:
        t = asyncio.ensure_future(work(depth - 1))
        await nap()
        t.cancel()
        try:
            await t
        except asyncio.CancelledError:
            await nap()
    elif kind == 12:
        g = numbers(3)
        async for _ in g:
            break
        await g.aclose()
    else:
        point()
        await work(depth - 1)
    if rng.random() < .3:
        point()


async def setter(e, depth):
    await work(depth - 1)
    e.set()


async def putter(q, depth):
    await work(depth - 1)
    await q.put(1)


async def main():
    while True:
        tasks = [asyncio.get_running_loop().create_task(work(rng.randrange(6))) for _ in range(rng.randrange(1, 5))]
        if hasattr(tasks[0], "set_name") and rng.random() < .5:
            tasks[0].set_name("näme %d" % count)
        await asyncio.wait(tasks, timeout=1)  # some wait for what was forgotten


left = []


def abandon():
    """Leaves tasks in a loop whose thread ends."""
    loop = asyncio.new_event_loop()
    loops.append(loop)

    async def waits(fut):
        await fut

    async def start():
        for i in range(3):
            left.append(loop.create_task(waits(loop.create_future()), name="left %d" % i))
        await asyncio.sleep(0)

    loop.run_until_complete(start())


t = threading.Thread(target=abandon)
t.start()
t.join()
ready = threading.Event()


def other():
    """A second loop, in a thread, whose tasks wait."""
    async def forever():
        ready.set()
        await asyncio.get_running_loop().create_future()

    loop = asyncio.new_event_loop()
    loops.append(loop)
    asyncio.set_event_loop(loop)
    keep = loop.create_task(forever())  # the loop has only a weak reference
    loop.run_until_complete(forever())


threading.Thread(target=other, daemon=True).start()
ready.wait()
loop = asyncio.new_event_loop()
loops.append(loop)
asyncio.set_event_loop(loop)
# Some tasks are of the class that is written in Python.
loop.set_task_factory(lambda loop, coro, **kw: rng.choice([asyncio.Task, asyncio.Task, asyncio.tasks._PyTask])(coro, loop=loop, **kw))
loop.run_until_complete(main())
