# At each of many points prints, as JSON, the stacks of all suspended greenlets
# as greenlet itself reports them, then blocks in os.read(0, 1) until told to go
# on; or prints "none" when there is no greenlet. Usage: greenletpoints.py SEED POINTS
import gc
import json
import os
import random
import sys

try:
    import greenlet
except ImportError:
    print("none", flush=True)
    sys.exit(0)

seed, points = int(sys.argv[1]), int(sys.argv[2])
rng = random.Random(seed)
QUALNAME = sys.version_info >= (3, 11)
hub = greenlet.getcurrent()
alive = []
count = 0


class Mine(greenlet.greenlet):
    """A class of its own, as gevent's."""


def frames(g):
    out, f = [], g.gr_frame
    while f is not None:
        c = f.f_code
        out.append([c.co_filename, c.co_qualname if QUALNAME else c.co_name, f.f_lineno])
        f = f.f_back
    return out


def point():
    global count
    count += 1
    me = greenlet.getcurrent()
    out = [{"addr": id(g), "type": type(g).__name__, "frames": frames(g)} for g in alive + [hub] if g and not g.dead and g is not me and g.gr_frame is not None]
    os.write(1, json.dumps({"point": count, "greenlets": out}).encode() + b"\n")
    os.read(0, 1) or os._exit(1)
    if count >= points:
        os._exit(0)


def switch():
    if rng.random() < .2:
        point()
    if rng.random() < .1:
        gc.collect(rng.randrange(3))
    others = [g for g in alive if not g.dead and g is not greenlet.getcurrent()]
    rng.choice(others + [hub]).switch()


def plain(n):
    go(n)


def gen(n):
    yield 1
    go(n)
    yield 2


def generator(n):
    for _ in gen(n):
        pass


def sort_key(n):
    sorted([1], key=lambda x: go(n) or 0)


def method(n):
    class C:
        def __getattr__(self, name):
            go(n)
    C().x


def closure(n):
    (lambda m=n: go(m))()


def go(n):
    if n <= 0:
        return switch()
    rng.choice([plain, generator, sort_key, method, closure])(n - 1)
    if rng.random() < .5:
        switch()


def body():
    while True:
        go(rng.randrange(8))
        if rng.random() < .2:
            return


while True:
    alive[:] = [g for g in alive if not g.dead]
    while len(alive) < 6:
        alive.append(rng.choice([greenlet.greenlet, Mine])(body))
    rng.choice(alive).switch()
    if rng.random() < .3:
        point()
