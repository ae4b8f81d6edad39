"""Two threads move money in opposite directions, each between the same two accounts."""
import threading


class Account:
    def __init__(self, name, balance):
        self.name, self.balance, self.lock = name, balance, threading.Lock()


both = threading.Barrier(2)


def transfer(source, target, amount):
    with source.lock:
        both.wait()  # both hold their first lock
        with target.lock:
            source.balance -= amount
            target.balance += amount


savings, checking = Account("savings", 500), Account("checking", 20)
print("<img src=x onerror=alert(1)> begins", flush=True)
print("\x1b[31mred\u202e", flush=True)
threads = [
    threading.Thread(target=transfer, args=(savings, checking, 100), name="left"),
    threading.Thread(target=transfer, args=(checking, savings, 5), name="right"),
]
for t in threads:
    t.start()
for t in threads:
    t.join()
