"""The command `netwright`."""

import os
import sys


def main() -> None:
    """Run the command line; a user's mistake is one line on stderr, never a traceback."""
    # libgomp spins while it waits: with a core taken by another process two threads are then ten
    # times slower than one. A short spin keeps the gain of an idle machine and bounds the loss.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    from netwright.cli.app import app
    from netwright.errors import NetwrightError

    try:
        app()
    except NetwrightError as error:
        print(f"netwright: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("netwright: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader went away (`netwright ... | head`): nothing is left to say to anyone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
