# What lines and calls there are: loops, generators, coroutines, exceptions, with, match,
# closures, code that is made and gone, threads. Python 3.10 and later.
import threading
class Ctx:
    def __enter__(self):
        return self
    def __exit__(self, *a):
        return a[0] is KeyError
def fib(n):
    if n < 2:
        return n
    return (fib(n - 1) +
            fib(n - 2))
def gen(n):
    for i in range(n):
        try:
            yield i
        finally:
            n -= 1
def outer(n):
    yield from gen(n)
    return n
def loops(n):
    total = 0
    while n:
        n -= 1
        if n % 3 == 0:
            continue
        total += n
    for i in range(5): total += i
    x = [i * 2 for i in range(4)
         if i % 2]
    y = {k: v for k, v in zip("abc", range(3))}
    z = sum(i for i in range(6))
    a, b = 1, 2
    while a < 5: a += 1
    return total, x, y, z
def handles(n):
    for i in range(n):
        try:
            if i % 2:
                raise KeyError(i)
            elif i % 5 == 0:
                {}["x"]
        except KeyError as e:
            str(e)
        else:
            i += 1
        finally:
            i -= 1
def withs(n):
    for i in range(n):
        with Ctx() as c:
            if i % 2:
                raise KeyError
            c = None
    with Ctx(), Ctx():
        pass
def deco(f):
    def inner(*a, **k):
        return f(*a,
                 **k)
    return inner
@deco
def wrapped(a, b=2):
    return a + b
def match(x):
    match x:
        case {"a": y}:
            return y
        case [1, y, *_]:
            return y
        case int() | float():
            return "n"
    return None
async def co(n):
    for i in range(n):
        await step(i)
async def step(i):
    return i
def run(c):
    try:
        while True:
            c.send(None)
    except StopIteration:
        pass
def closure():
    n = 0
    def inc():
        nonlocal n
        n += 1
        return n
    for _ in range(3):
        inc()
    return n
def unused():
    g = gen(3)
    next(g)
    del g
    h = gen(2)
def main():
    fib(8)
    list(outer(4))
    loops(10)
    handles(11)
    withs(4)
    for i in range(3):
        wrapped(i, b=i)
    for v in ({"a": 1}, [1, 2, 3], 3, 2.5, "x"):
        match(v)
    run(co(3))
    closure()
    unused()
    exec("def made(n):\n    return n\nfor i in range(50):\n    made(i)\n", {})
    for i in range(30):
        d = {}
        exec("def f(a):\n    a += 1\n    return a\nf(1)\n", d)
    lam = [lambda x: x + 1][0]
    sorted([3, 1, 2], key=lambda x:
           -x)
    ts = [threading.Thread(target=loops, args=(40,)) for _ in range(3)]
    for t in ts:
        t.start()
    for t in ts:
        t.join()
main()
