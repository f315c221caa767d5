"""An asyncio program that waits for work; `app` is what it keeps."""

import asyncio


class App:
    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.jobs = asyncio.Queue()
        self.done = []

    async def fetch(self, number):
        await asyncio.sleep(0.01)
        assert asyncio.get_running_loop() is self.loop
        return number * 2


async def main():
    global app
    app = App()
    print("ready", flush=True)
    while True:
        job = await app.jobs.get()
        app.done.append(job)
        print("did", job, flush=True)


asyncio.run(main())
