"""Modules that have no graph."""

import torch
from torch import nn


class Branches(nn.Module):
    """Cannot be traced: what it does depends on values."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        return self.layer(x) if x.sum() > 0 else x


class Sorts(nn.Module):
    """Does what graphs have no word for."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        return torch.sort(self.layer(x))[0]
