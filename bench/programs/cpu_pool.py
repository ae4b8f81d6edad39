"""A multiprocessing pool of two CPU-bound workers, for two cores."""
import multiprocessing


def work(n):
    x = n
    for i in range(12_000_000):
        x = (x * 31 + i) & 0xFFFFFF
    return x


if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(pool.map(work, range(4), chunksize=1))
