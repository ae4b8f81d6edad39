"""100,000 reads of a descriptor that no file object was made for."""
import os
import tempfile

fd, name = tempfile.mkstemp()
os.write(fd, b"x" * 8192)
os.unlink(name)
print("bytes", sum(len(os.pread(fd, 64, i % 4096)) for i in range(100000)))
