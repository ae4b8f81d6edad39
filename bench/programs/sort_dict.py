"""Dictionaries, sorting with a Python key, string building and classes."""


class Point:
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x = x
        self.y = y

    def key(self):
        return (self.x * 7919 + self.y) % 1009


points = [Point(i % 523, i % 389) for i in range(40000)]
total = 0
for _ in range(90):
    points.sort(key=Point.key)
    groups = {}
    for p in points:
        groups.setdefault(p.x, []).append(p.y)
    total += sum(len(v) for v in groups.values()) + len("".join("%d," % p.y for p in points[:5000]))
print(total)
