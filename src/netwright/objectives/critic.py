"""What a state of a machine is worth under the policies of the day."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from netwright.objectives.rollout import Episodes
from netwright.rng import derive_seed

_EPOCHS, _PARTS = 4, 4


class Critic:
    """An MLP over what is seen and the machine's numbers, trained on the returns of each round.

    It knows the machine also where policies do not: it is for training only.

    Args:
        seen: O, numbers that are seen.
        low: Smallest value of each of the machine's P numbers.
        high: Largest.
        width: Of its two hidden layers.
        rate: Learning rate.
    """

    def __init__(
        self, seen: int, low: list[float], high: list[float], width: int, rate: float
    ) -> None:
        self.middle = (torch.tensor(low) + torch.tensor(high)) / 2
        self.half = (torch.tensor(high) - torch.tensor(low)) / 2
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(0, "critic"))
            self.net = nn.Sequential(
                nn.Linear(seen + len(low), width), nn.Tanh(),
                nn.Linear(width, width), nn.Tanh(),
                nn.Linear(width, 1),
            )  # fmt: skip
        # Returns are learned with mean 0 and variance 1 over the first round.
        self.scale = torch.tensor([0.0, 0.0])
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=rate)

    def to(self, device: torch.device) -> "Critic":
        """The same on another device."""
        self.net.to(device)
        self.middle, self.half = self.middle.to(device), self.half.to(device)
        self.scale = self.scale.to(device)
        for state in self.optimiser.state.values():
            # The number of steps stays where the optimiser wants it.
            state |= {slot: v.to(device) for slot, v in state.items() if slot != "step"}
        return self

    @torch.no_grad()
    def values(self, seen: Tensor, machine: Tensor) -> Tensor:
        """Of what is seen [T, N, *, O] on machines [T, P]: [T, N, *]."""
        return self.worth(seen, machine)

    def worth(self, seen: Tensor, machine: Tensor) -> Tensor:
        """As `values`, with the gradient of what is seen, and none of the critic itself."""
        own = {name: parameter.detach() for name, parameter in self.net.named_parameters()}
        found: Tensor = functional_call(self.net, own, (self._inputs(seen, machine),)).squeeze(-1)
        return found * self.size + self.scale[0]

    @property
    def size(self) -> Tensor:
        """Standard deviation of returns in the first round, a scalar; 1 before."""
        return torch.where(self.scale[1] > 0, self.scale[1], 1.0)

    def learn(self, episodes: Episodes, returns: Tensor, machine: Tensor, *, seed: int) -> None:
        """Some epochs on the returns [T, N, H] of a round."""
        alive = episodes.alive.flatten()
        if not bool(self.scale[1] > 0):
            self.scale = torch.stack([returns.mean(), returns.std().clamp(min=1e-3)])
        x = self._inputs(episodes.seen, machine).flatten(0, -2)[alive]
        y = ((returns - self.scale[0]) / self.scale[1]).flatten()[alive]
        generator = torch.Generator().manual_seed(derive_seed(seed, "critic"))
        with torch.enable_grad():
            for _ in range(_EPOCHS):
                order = torch.randperm(len(x), generator=generator).to(x.device)
                for part in order.chunk(_PARTS):
                    loss = (self.net(x[part]).squeeze(-1) - y[part]).square().mean()
                    self.optimiser.zero_grad(set_to_none=True)
                    loss.backward()
                    nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
                    self.optimiser.step()

    def kept(self) -> dict[str, Tensor]:
        """Weights, moments and scale, by name."""
        found = {f"net.{name}": value.detach() for name, value in self.net.state_dict().items()}
        for i, parameter in enumerate(self.net.parameters()):
            state = self.optimiser.state.get(parameter, {})
            found |= {f"moment.{i}.{slot}": value.detach() for slot, value in state.items()}
        return {**found, "scale": self.scale}

    def keep(self, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of `kept`."""
        self.net.load_state_dict(
            {n.removeprefix("net."): v for n, v in tensors.items() if n.startswith("net.")}
        )
        for i, parameter in enumerate(self.net.parameters()):
            head = f"moment.{i}."
            slots = {
                n.removeprefix(head): v.clone() for n, v in tensors.items() if n.startswith(head)
            }
            if slots:
                self.optimiser.state[parameter] = slots
        self.scale = tensors["scale"].clone()

    def _inputs(self, seen: Tensor, machine: Tensor) -> Tensor:
        known = (machine - self.middle) / self.half
        known = known.view(len(machine), *[1] * (seen.dim() - 2), -1)
        return torch.cat([seen, known.expand(*seen.shape[:-1], -1)], dim=-1)


__all__ = ["Critic"]
