"""A process of its own for each contestant, which ends when it is told to, or when its parent does."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType

from netwright.referee.contest import Contestant


def run_in_process(folder: Path, contestant: Contestant) -> int:
    """Run a contestant of a comparison's folder; 0 if it has written its result.

    Raises:
        KeyboardInterrupt: On Ctrl-C, after the training under way has left a checkpoint.
        SystemExit: On SIGTERM, likewise.
    """
    log = folder / "logs" / f"{contestant.setting}-{contestant.learner}-seed{contestant.seed}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "netwright.referee",
        str(folder), contestant.setting, contestant.learner, str(contestant.seed),
    ]  # fmt: skip
    with log.open("wb") as output, _Forwarding() as forwarding:
        # In a group of its own: a terminal's Ctrl-C comes once, from here, and not twice.
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        forwarding.to(process)
        code = process.wait()
        assert process.stdin is not None
        process.stdin.close()
    forwarding.leave()
    return code


def end_with_parent() -> None:
    """From now on, end this process as SIGTERM would when the one that started it is gone."""

    def watch() -> None:
        # Nobody writes: reading returns when the parent's end is closed, however the parent ended.
        os.read(sys.stdin.fileno(), 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


class _Forwarding:
    """While entered, SIGINT and SIGTERM go to a process that was started, and are noted."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._previous: dict[int, object] = {}

    def to(self, process: "subprocess.Popen[bytes]") -> None:
        """Signals go to this process, those included that came before it was there."""
        self._process = process
        if self.signal is not None:
            process.send_signal(self.signal)

    def leave(self) -> None:
        """Raise what a noted signal stands for."""
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal is not None:
            raise SystemExit(128 + self.signal)

    def __enter__(self) -> "_Forwarding":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *reason: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        if self._process is not None:
            self._process.send_signal(number)


__all__ = ["end_with_parent", "run_in_process"]
