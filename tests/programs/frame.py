"""Works in a function with locals; tells whenever one of them has changed."""

import time

limit = 10**9


def work(word):
    count = 0
    settings = {"pause": 0.005}
    seen = (word, settings.get("level"))
    while count < limit:
        count += 1
        if (word, settings.get("level")) != seen:
            seen = (word, settings.get("level"))
            print("local", *seen, flush=True)
        if word == "return":
            break
        time.sleep(settings["pause"])
    return count


print("ready", flush=True)
work("start")
print("returned", flush=True)
while True:
    time.sleep(0.005)
