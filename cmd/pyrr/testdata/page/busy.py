"""A loop looks at a flag that nobody sets: the thread that should have has died."""
import threading

state = {"done": False}


def setter(settings):
    state["done"] = settings["value"]


thread = threading.Thread(target=setter, args=({},), name="setter")
thread.start()
thread.join()
tries = 0
while not state["done"]:
    tries += 1
