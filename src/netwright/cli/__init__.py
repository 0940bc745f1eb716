"""The command `netwright`."""

import os
import sys


def main() -> None:
    """Run the command line; a user's mistake is one line on stderr, never a traceback."""
    from netwright.process import bound_spinning, keep_freed_memory, keep_kernels

    bound_spinning()
    keep_freed_memory()
    keep_kernels()
    # Each file adds its commands.
    from netwright.cli import app as _learning
    from netwright.cli import exports as _exporting
    from netwright.cli import files as _keeping
    from netwright.cli import server as _serving
    from netwright.cli import uses as _using
    from netwright.cli.root import app
    from netwright.errors import NetwrightError

    del _exporting, _keeping, _learning, _serving, _using
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
