"""A pool of multiprocessing's, which puts another worker in the place of one that has ended."""

import multiprocessing
import sys
import time


def work(number):
    return number * 2


if __name__ == "__main__":
    method, size = sys.argv[1], int(sys.argv[2])
    with multiprocessing.get_context(method).Pool(size) as pool:
        assert pool.map(work, range(20)) == list(range(0, 40, 2))
        print("ready", flush=True)
        while True:
            time.sleep(0.05)
