"""100,000 reads in a program that has a multiprocessing.Lock, which nobody uses."""
import multiprocessing
import os
import tempfile

lock = multiprocessing.Lock()
with tempfile.TemporaryFile(buffering=0) as f:
    f.write(b"x" * 8192)
    print(sum(len(os.pread(f.fileno(), 64, i % 4096)) for i in range(100000)))
