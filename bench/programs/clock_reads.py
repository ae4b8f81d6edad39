"""50,000 reads of a clock."""
import time

last = time.perf_counter()
for _ in range(50_000):
    now = time.perf_counter()
    assert now >= last
    last = now
print("done")
