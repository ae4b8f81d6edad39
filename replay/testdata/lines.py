# What the tests of breakpoints run: natively under sys.settrace, which says
# what happens, and recorded, where it must be found. All that is watched is
# in this file.
import sys


class Shape:
    def __init__(self, n):
        self.n = n

    def area(self): return self.n * 2


def loops(n):
    total = 0
    for i in range(n):
        if i % 3:
            total += i
        else:
            total -= 1
    while n > 0: n -= 1
    return total


def numbers(n):
    for i in range(n):
        yield i


def fails(x):
    if x > 2:
        raise ValueError(x)
    return {}["missing"]


def catches():
    seen = []
    for x in range(5):
        try:
            fails(x)
        except (ValueError, KeyError) as e:
            seen.append(type(e).__name__)
    return seen


def factorial(n):
    if n < 2:
        return 1
    return n * factorial(n - 1)


def late():
    space = {}
    exec(compile("def made(a):\n    b = a + 1\n    return b\n", __file__ + ".made", "exec"), space)
    return [space["made"](i) for i in range(4)]


def main():
    for i in range(12):
        loops(i)
    list(numbers(4))
    shapes = [Shape(i) for i in range(3)]
    sum(s.area() for s in shapes)
    sorted([3, 1, 2], key=lambda v: -v)
    catches()
    factorial(6)
    late()
    text = "a" \
        "b"
    print(
        len(text),
        factorial(3),
    )


def trace(log):
    frames = set()

    def local(frame, event, arg):
        name = frame.f_code.co_filename
        if not name.startswith(__file__):
            return None
        if event == "call":
            if frame in frames:
                return local  # a generator that goes on is not called
            frames.add(frame)
            log.append(("call", frame.f_code.co_name, frame.f_code.co_firstlineno))
        elif event == "line":
            log.append(("line", frame.f_code.co_name, frame.f_lineno))
        elif event == "exception" and arg[2].tb_next is None:
            log.append(("raise", arg[0].__name__, frame.f_lineno))
        return local
    return local


if __name__ == "__main__":
    if sys.argv[1:] == ["trace"]:
        log = []
        sys.settrace(trace(log))
        main()
        sys.settrace(None)
        for row in log:
            print(*row, file=sys.stderr)
    else:
        main()
