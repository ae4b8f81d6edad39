"""Two CPU-bound threads that share the GIL."""
import threading

results = {}


def work(n):
    x = n
    for i in range(12_000_000):
        x = (x * 31 + i) & 0xFFFFFF
    results[n] = x


threads = [threading.Thread(target=work, args=(n,)) for n in (1, 2)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(sorted(results.items()))
