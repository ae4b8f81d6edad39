"""20,000 system calls that do next to nothing."""
import os

size = 0
for _ in range(20_000):
    size += os.stat("/").st_nlink > 0
print(size)
