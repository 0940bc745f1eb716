"""One contestant of a comparison's folder: `python -m netwright.referee FOLDER SETTING LEARNER SEED`."""

import sys
from pathlib import Path

from netwright.errors import NetwrightError
from netwright.process import bound_spinning, keep_freed_memory, keep_kernels


def main() -> int:
    """Run it and write its result."""
    bound_spinning()
    keep_freed_memory()
    keep_kernels()
    import torch

    from netwright.referee.compare import experiment_in, run_here
    from netwright.referee.contest import Contestant
    from netwright.referee.isolation import end_with_parent
    from netwright.referee.plan import read_plan

    end_with_parent()
    torch.set_num_threads(1)
    folder, setting, learner, seed = sys.argv[1:]
    experiment = experiment_in(folder)
    plan = read_plan(Path(folder), experiment)[setting]
    run_here(experiment, plan, Contestant(setting, learner, int(seed)), Path(folder))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NetwrightError as error:
        print(f"netwright: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
