"""How much better than usual what was done turned out to be."""

import torch
from torch import Tensor

from netwright.objectives.rollout import Episodes

# So little of a ridge that it only keeps a fit of what never varied from failing.
_RIDGE = 1e-6


def generalised_advantages(
    episodes: Episodes, values: Tensor, last: Tensor, *, discount: float, trace: float
) -> Tensor:
    """Generalised advantages, [T, N, H].

    Args:
        episodes: What happened.
        values: What states were worth before each step, [T, N, H].
        last: And after the last one, [T, N]: the end of time is not the end of the world.
        discount: Of rewards, per step.
        trace: Lambda.

    References:
        Schulman et al., arXiv:1506.02438.
    """
    goes_on = episodes.goes_on.to(values.dtype)
    after = torch.cat([values[..., 1:], last.unsqueeze(-1)], dim=2)
    surprise = episodes.rewards + discount * after * goes_on - values
    found = []
    running = torch.zeros_like(last)
    for t in range(surprise.shape[2] - 1, -1, -1):
        running = surprise[..., t] + discount * trace * goes_on[..., t] * running
        found.append(running)
    return torch.stack(found[::-1], dim=2) * episodes.alive


def linear_baseline(episodes: Episodes, *, discount: float) -> tuple[Tensor, Tensor]:
    """What is usual on each machine by itself: a linear fit of returns on what was seen, its squares and the time.

    Nothing of it is learned over tasks: it needs no more than the episodes.

    Args:
        episodes: Of T machines, N episodes each.
        discount: Of rewards, per step.

    Returns:
        Values before each step, [T, N, H], and after the last one, [T, N].

    References:
        Duan et al., Benchmarking deep reinforcement learning for continuous control, arXiv:1604.06778.
    """
    tasks, count, steps = episodes.rewards.shape
    returns, running = [], torch.zeros_like(episodes.rewards[..., 0])
    for reward in reversed(episodes.rewards.unbind(dim=2)):
        running = reward + discount * running
        returns.append(running)
    y = torch.stack(returns[::-1], dim=2).double()
    seen = torch.cat([episodes.seen, episodes.last.unsqueeze(2)], dim=2)
    features = _features(seen)
    alive = episodes.alive.to(y.dtype)
    rows = (features[:, :, :-1] * alive.unsqueeze(-1)).flatten(1, 2)
    square = rows.mT @ rows + _RIDGE * torch.eye(rows.shape[-1], dtype=y.dtype, device=y.device)
    weights = torch.linalg.solve(square, rows.mT @ (y * alive).view(tasks, count * steps, 1))
    found = (features.flatten(1, 2) @ weights).view(tasks, count, steps + 1).to(seen.dtype)
    return found[..., :-1], found[..., -1]


def _features(seen: Tensor) -> Tensor:
    """What was seen [T, N, H + 1, O], its squares, powers of the time, one; in double precision."""
    seen = seen.double()
    time = torch.linspace(0, 1, seen.shape[2], dtype=seen.dtype, device=seen.device)
    powers = torch.stack([time**k for k in range(4)], dim=-1).expand(*seen.shape[:-1], 4)
    return torch.cat([seen, seen.square(), powers], dim=-1)


__all__ = ["generalised_advantages", "linear_baseline"]
