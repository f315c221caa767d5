"""A queue of tasks, by way of files; as a program it has two numbers added, and prints the sum."""

import os
import sys

from celery import Celery

place = os.environ["QUEUE"]
folders = dict.fromkeys(("data_folder_in", "data_folder_out"), f"{place}/queue")
app = Celery("tasks", broker="filesystem://", backend=f"file://{place}/results")
app.conf.update(
    broker_transport_options=folders | {"control_folder": f"{place}/control"},
    worker_hijack_root_logger=False,
)


@app.task(name="add")
def add(one, other):
    return one + other


if __name__ == "__main__":
    print(add.delay(*map(int, sys.argv[1:])).get(timeout=30, interval=0.02))
