"""One thread spins until another, which counts to a fixed number, sets a flag."""
import threading

done = False
total = 0


def work():
    global done, total
    for i in range(2_000_000):
        total += i
    done = True


t = threading.Thread(target=work)
t.start()
while not done:
    pass
t.join()
print(total)
