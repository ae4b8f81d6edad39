"""Prints the addresses of nested containers, and of one that is too deep to be shown."""
import os

inner = {"a": 1, "b": 2}
deep = ["1", {"2": ("3", ["4", inner])}]
print(id(deep), id(inner), flush=True)
os.read(0, 1)
