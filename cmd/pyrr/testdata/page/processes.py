"""A child fills a pipe that only its parent reads, and the parent waits for its end."""
import multiprocessing


def fill(queue):
    for _ in range(40):
        queue.put("x" * 10_000)


if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    worker = context.Process(target=fill, args=(queue,), name="filler")
    worker.start()
    worker.join()
    print(queue.get())
