"""Threads that are started and waited for, one after the other."""
import threading

done = []
for i in range(500):
    t = threading.Thread(target=done.append, args=(i,))
    t.start()
    t.join()
print(sum(done))
