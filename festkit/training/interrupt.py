"""Stop a run between two steps, on a signal or at the time limit."""

import signal
import threading
import time
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Catches SIGINT and SIGTERM within a block, so that training stops between two steps.

    Args:
        max_minutes: time limit; None for no limit.

    Example:
        >>> with Stop(max_minutes=0) as stop:
        ...     stop.wanted
        True
    """

    def __init__(self, max_minutes: float | None) -> None:
        self._until = None if max_minutes is None else time.monotonic() + 60 * max_minutes
        self._before: dict[int, Any] = {}
        self.signal: int | None = None

    @property
    def wanted(self) -> bool:
        """Whether a signal was received or the time limit reached."""
        late = self._until is not None and time.monotonic() >= self._until
        return late or self.signal is not None

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:  # the second signal stops at once
            raise KeyboardInterrupt
        self.signal = number

    def pass_on(self) -> None:
        """Raise the exception of the signal, after the checkpoint is written.

        Raises:
            KeyboardInterrupt: after SIGINT.
            SystemExit: after SIGTERM, with its exit status.
        """
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal is not None:
            raise SystemExit(128 + self.signal)
