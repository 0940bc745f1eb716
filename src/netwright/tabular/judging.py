"""What predictions for rows left out are worth."""

import torch
from torch import Tensor

# Inverse temperatures at which predictions are judged.
TEMPERATURES = (1.0, 1.5, 2.2, 3.3, 5.0, 7.5, 11.0, 17.0)


def judged(unseen: Tensor, label: Tensor, weight: Tensor) -> Tensor:
    """Log loss in nats at each temperature, and accuracy: [T, K, len(TEMPERATURES) + 1].

    Args:
        unseen: Predictions for each row by solutions without it, [T, K, S, C].
        label: Classes, [T, S].
        weight: Of rows, of sum 1, [T, S].
    """
    index = label[:, None, :, None].expand(-1, unseen.shape[1], -1, 1)
    own = unseen.gather(3, index).squeeze(-1)
    losses = [
        ((torch.logsumexp(t * unseen, dim=3) - t * own) * weight.unsqueeze(1)).sum(dim=2)
        for t in TEMPERATURES
    ]
    hits = ((unseen.argmax(dim=3) == label.unsqueeze(1)) * weight.unsqueeze(1)).sum(dim=2)
    return torch.stack([*losses, hits], dim=-1)


__all__ = ["TEMPERATURES", "judged"]
