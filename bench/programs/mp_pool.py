"""Small tasks for a pool of two processes: pipes, semaphores in shared memory."""
import multiprocessing


def double(x):
    return 2 * x


if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(sum(pool.imap_unordered(double, range(1500))))
