"""2,000 small files, written, read and removed."""
import os
import tempfile

total = 0
with tempfile.TemporaryDirectory() as d:
    for i in range(2000):
        name = os.path.join(d, "f%d" % i)
        with open(name, "w") as f:
            f.write("text %d\n" % i * 20)
        with open(name) as f:
            total += len(f.read())
        os.remove(name)
print("characters", total)
