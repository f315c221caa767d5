"""A pipeline of threads and processes by concurrent.futures; tells of each round."""

import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor


def parse(text):
    return int(text)


def square(number):
    return number * number


if __name__ == "__main__":
    with ThreadPoolExecutor(2) as threads, ProcessPoolExecutor(1) as processes:
        number = 0
        while True:
            number += 1
            numbers = list(threads.map(parse, map(str, range(5))))
            assert list(processes.map(square, numbers)) == [0, 1, 4, 9, 16]
            print("round", number, flush=True)
            time.sleep(0.02)
