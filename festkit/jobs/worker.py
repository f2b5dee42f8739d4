"""A process that runs jobs for a driver, one after the other, and ends when the driver does."""

import json
import os
import queue
import signal
import threading

from .job import Job, run_job


def main() -> None:
    """Read orders from standard input, a line each, and answer each by a line of standard output.

    What is printed meanwhile goes to the order's log. The driver keeps standard input open as long
    as it lives.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    orders: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    while True:
        order = json.loads(orders.get())
        _print_to(order["log"])
        job = Job.from_plain(order["job"])
        outcome = run_job(job, order["folder"], max_minutes=order["max_minutes"])
        answer = [outcome.status, str(outcome.folder), outcome.reason]
        print(json.dumps(answer), file=answers, flush=True)


def _listen(orders: queue.SimpleQueue[bytes]) -> None:
    with open(0, "rb", buffering=0) as lines:
        for line in lines:
            orders.put(line)
    os.kill(os.getpid(), signal.SIGTERM)  # the driver is gone


def _print_to(log: str) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


if __name__ == "__main__":
    main()
