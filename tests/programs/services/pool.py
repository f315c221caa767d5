"""Has a pool of processes at work all the time; tells of each round, and who they are."""

import multiprocessing
import os
import time


def square(number):
    return number * number, os.getpid()


if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool:
        number = 0
        while True:
            number += 1
            done = pool.map(square, range(20))
            assert [one for one, _ in done] == [n * n for n in range(20)]
            print("round", number, "by", *sorted({pid for _, pid in done}), flush=True)
            time.sleep(0.02)
