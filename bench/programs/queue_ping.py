"""5,000 round trips between two threads through queues."""
import queue
import threading

ping, pong = queue.SimpleQueue(), queue.SimpleQueue()


def answer():
    while True:
        n = ping.get()
        if n is None:
            return
        pong.put(n + 1)


t = threading.Thread(target=answer)
t.start()
n = 0
for _ in range(5_000):
    ping.put(n)
    n = pong.get()
ping.put(None)
t.join()
print(n)
