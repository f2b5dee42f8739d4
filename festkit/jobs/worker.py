"""A process that runs one job for a driver, and ends when the driver does."""

import json
import os
import signal
import sys
import threading

from .job import Job, run_job


def main() -> None:
    """Run the order given as argument and write its outcome to standard output.

    All that is printed meanwhile goes to standard error. The driver keeps standard input open as
    long as it lives.
    """
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    order = json.loads(sys.argv[1])
    threading.Thread(target=_end_with_driver, daemon=True).start()
    job = Job(order["notebook"], order["parameters"])
    outcome = run_job(job, order["folder"], max_minutes=order["max_minutes"])
    json.dump([outcome.status, str(outcome.folder), outcome.reason], answer)
    answer.close()


def _end_with_driver() -> None:
    os.read(0, 1)  # nothing comes: it returns when the driver is gone
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
