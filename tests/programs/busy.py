"""Computes in Python without a pause."""

rounds = 0
print("ready", flush=True)
while True:
    rounds += 1
