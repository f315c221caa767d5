"""Has some state, and tells whenever `word` has changed. Idles in Python."""

import time


class Order:
    def __init__(self, number, total):
        self.number, self.total = number, total

    def __repr__(self):
        return f"<Order {self.number}>"

    @property
    def secret(self):
        print("property run", flush=True)
        return 1


word = seen = "start"
orders = [Order(1, 10), Order(2, 32)]


def total():
    return sum(order.total for order in orders)


print("ready", flush=True)
while True:
    if word != seen:
        seen = word
        print("word is", word, flush=True)
    time.sleep(0.005)
