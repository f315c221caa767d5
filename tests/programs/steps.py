"""Works in a function that calls short ones all the time, until told that it is over."""

import time

is_over = False


def step(number):
    return sum(range(number % 100))


def work():
    total = count = 0
    while not is_over:
        count += 1
        total += step(count)
    return total


def main():
    print("ready", flush=True)
    outcome = work()
    print("worked", outcome > 0, flush=True)
    while True:
        time.sleep(0.005)


main()
