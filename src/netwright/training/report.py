"""How a training tells a person how far it is: a live bar in a terminal, plain lines elsewhere."""

import sys
import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any


class Reporter(ABC):
    """Told of every step and validation."""

    @abstractmethod
    def step(self, step: int, loss: float | None) -> None:
        """A step was taken."""

    @abstractmethod
    def say(self, line: str) -> None:
        """Something worth a line happened."""

    def __enter__(self) -> "Reporter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


class SilentReporter(Reporter):
    """Says nothing."""

    def step(self, step: int, loss: float | None) -> None:
        """Say nothing."""

    def say(self, line: str) -> None:
        """Say nothing."""


class PlainReporter(Reporter):
    """A line on stderr now and then.

    Args:
        steps: How many there will be.
        every_s: Seconds between lines about steps.
    """

    def __init__(self, steps: int, every_s: float = 10.0) -> None:
        self.steps, self.every_s = steps, every_s
        self._started = self._spoken = time.monotonic()
        self._first: int | None = None

    def step(self, step: int, loss: float | None) -> None:
        """Say how far it is, if it is time."""
        now = time.monotonic()
        if self._first is None:
            self._first = step - 1
        if now - self._spoken < self.every_s:
            return
        self._spoken = now
        rate = (step - self._first) / (now - self._started)
        left = (self.steps - step) / rate
        self.say(
            f"step {step}/{self.steps}  loss {_show(loss)}  {rate:.1f} steps/s  {left:.0f} s left"
        )

    def say(self, line: str) -> None:
        """Print a line."""
        print(line, file=sys.stderr, flush=True)


class LiveReporter(Reporter):
    """A progress bar that stays at the bottom of a terminal.

    Args:
        steps: How many there will be.
        first: The step that the training goes on from.
    """

    def __init__(self, steps: int, first: int = 0) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._console = Console(stderr=True)
        columns: tuple[Any, ...] = (
            TextColumn("training"), BarColumn(), MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}"), TimeRemainingColumn(),
        )  # fmt: skip
        self._bar = Bar(*columns, console=self._console, transient=True)
        self._task = self._bar.add_task("training", total=steps, completed=first, loss="-")

    def __enter__(self) -> "LiveReporter":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def step(self, step: int, loss: float | None) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=step, loss=_show(loss))

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._console.print(line, highlight=False)


def reporter_for(steps: int, first: int, *, progress: bool) -> Reporter:
    """A bar in a terminal, plain lines elsewhere, nothing if not wanted."""
    if not progress:
        return SilentReporter()
    return LiveReporter(steps, first) if sys.stderr.isatty() else PlainReporter(steps)


def _show(loss: float | None) -> str:
    return "not finite" if loss is None else f"{loss:.4f}"
