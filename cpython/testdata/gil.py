# Blocks in read(0, …) without giving up the lock, while another thread waits
# for it.
import ctypes
import os
import threading

read = ctypes.PyDLL(None).read
buf = ctypes.create_string_buffer(1)


def other():
    while True:
        pass


threading.Thread(target=other, name="other", daemon=True).start()
threading.main_thread().name = "princip\u00e1l"
os.write(1, b"ready\n")
read(0, buf, 1)
os._exit(0)
