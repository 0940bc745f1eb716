"""Machines whose physics is MuJoCo's: bodies with joints, motors and contacts, in a plane."""

import copy
import logging
from abc import abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import numpy as np
import torch
from torch import Tensor

from netwright.environments.base import Environment, drive
from netwright.errors import MissingExtraError

log = logging.getLogger(__name__)

# Machines whose models are kept: more than are ever trained on at once.
_MOST_MODELS = 2_048
# Faster than this, in m/s or rad/s, no machine moves whose physics still holds.
_FASTEST = 1e4


class MujocoEnvironment(Environment):
    """Base of machines that are models of MuJoCo and run along a line, which needs the extra `rl`.

    A state [S = 3 P + 2] is the whole one, so that a step follows from state, action and machine alone: positions [P] of all
    joints, the first of which is how far the machine has come; their speeds [P]; the accelerations [P] that the solver of contacts
    begins with; the speed at which it came forward during the last step; and a running average of that over `memory` steps, all
    in m, rad and s. Bodies are those of gymnasium, read from there.

    A subclass says which file, what its quantities change in a model, and how large what is seen usually is. Physics is
    stepped in double precision on the CPU and has no gradient. A machine that has failed stays as it is. One whose physics
    breaks becomes NaN, is reported once and left out, the others go on.
    """

    differentiable = False
    body: ClassVar[str]
    """File of the model among the assets of gymnasium."""
    substeps: ClassVar[int]
    """Steps of MuJoCo per action."""
    positions: ClassVar[int]
    """P, how many there are; in a plane as many as speeds."""
    noise: ClassVar[tuple[float, float]]
    """Of the pose at the start (uniform) and of speeds (normal); (0.1, 0.1) is between -0.1 and 0.1, and 0.1."""
    sizes: ClassVar[tuple[float, ...]]
    """Usual size of what is seen, [2 P - 1]; it is divided by that."""
    memory: ClassVar[float] = 20.0
    """Steps that the speed is averaged over that decides on success."""
    fastest_seen: ClassVar[float] = float("inf")
    """Of what is seen, speeds are cut off there, in m/s or rad/s."""

    def __init__(self) -> None:
        self._mujoco = _installed()
        self._plain = self._compiled()
        self._data = self._mujoco.MjData(self._plain)
        self._models: dict[tuple[float, ...], Any] = {}

    @abstractmethod
    def adjust(self, model: Any, machine: Mapping[str, float]) -> None:
        """Make a copy of the model, an `mujoco.MjModel`, one of a machine."""

    def start(self, rng: np.random.Generator, tasks: int, episodes: int) -> Tensor:
        """At rest in the pose of the model, up to some noise."""
        many, (pose, speed) = (tasks, episodes, self.positions), self.noise
        position = np.asarray(self._plain.qpos0) + rng.uniform(-pose, pose, many)
        speeds = speed * rng.standard_normal(many)
        rest = np.zeros((tasks, episodes, self.positions + 2))
        return torch.from_numpy(np.concatenate([position, speeds, rest], -1).astype(np.float32))

    def step(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """Some steps of MuJoCo under the same action; NaN where they go wrong, no change where it is over already."""
        p, over = self.positions, self.failed(state, machine).cpu().numpy()
        before, acts = state.detach().cpu().double().numpy(), drive(action).detach().cpu().double().numpy()  # fmt: skip
        after = np.full_like(before, np.nan)
        told = np.isfinite(before).all(-1) & np.isfinite(acts).all(-1)
        usual = told & self._is_sound(before) & ~over
        d = self._data
        parts = (
            (d.qpos, slice(p)),
            (d.qvel, slice(p, 2 * p)),
            (d.qacc_warmstart, slice(2 * p, 3 * p)),
        )
        for t, numbers in enumerate(machine.tolist()):
            model = self._model(tuple(numbers))
            for n in np.flatnonzero(usual[t]):
                for own, place in parts:
                    own[:] = before[t, n, place]
                d.ctrl[:] = acts[t, n]
                self._mujoco.mj_step(model, d, nstep=self.substeps)
                for own, place in parts:
                    after[t, n, place] = own
            sound = self._is_sound(after[t]) | over[t]
            after[t, ~sound] = np.nan
            if (told[t] & ~sound).any():
                self._report(numbers)
        forward = (after[..., 0] - before[..., 0]) / self.seconds
        after[..., -2] = forward
        after[..., -1] = before[..., -1] + (forward - before[..., -1]) / self.memory
        after[over] = before[over]
        return torch.from_numpy(after).to(state)

    def observe(self, state: Tensor, machine: Tensor) -> Tensor:
        """Pose and speeds, without how far it has come, as shares of their usual sizes."""
        p, fastest = self.positions, self.fastest_seen
        speeds = state[..., p : 2 * p].clamp(-fastest, fastest)
        return torch.cat([state[..., 1:p], speeds], dim=-1) / state.new_tensor(self.sizes)

    def forward(self, state: Tensor) -> Tensor:
        """Speed along the line during the last step, in m/s, [T, N]."""
        return state[..., -2]

    def limbs(self, state: Tensor, machine: Tensor) -> list[tuple[float, ...]]:
        """What a machine in a state looks like from the side: for each limb x, z of both ends and its width, in metres.

        Args:
            state: [S].
            machine: [P].
        """
        mujoco, model = self._mujoco, self._model(tuple(machine.tolist()))
        self._data.qpos[:] = state[: self.positions].cpu().double().numpy()
        mujoco.mj_kinematics(model, self._data)
        found = []
        for i in np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_CAPSULE):
            middle, along = self._data.geom_xpos[i], self._data.geom_xmat[i].reshape(3, 3)[:, 2]
            radius, half = model.geom_size[i, :2]
            ends = [middle - half * along, middle + half * along]
            found.append(tuple(float(v) for v in (*ends[0][[0, 2]], *ends[1][[0, 2]], 2 * radius)))
        return found

    def _model(self, numbers: tuple[float, ...]) -> Any:
        """The model of a machine [P]; made when it is first met."""
        found = self._models.get(numbers)
        if found is None:
            if len(self._models) >= _MOST_MODELS:
                self._models.clear()
            found = copy.copy(self._plain)
            named = dict(zip([q.name for q in self.quantities], numbers, strict=True))
            self.adjust(found, named)
            # Inverse inertias at rest, which contacts are made soft by, follow from masses.
            self._mujoco.mj_setConst(found, self._data)
            self._models[numbers] = found
        return found

    def _compiled(self) -> Any:
        place = find_spec("gymnasium")
        assert place is not None
        assert place.origin is not None
        path = Path(place.origin).parent / "envs" / "mujoco" / "assets" / self.body
        root = ElementTree.parse(path).getroot()
        compiler = root.find("compiler")
        assert compiler is not None
        # Textures are most of a model's megabytes, and each machine has a copy.
        compiler.set("discardvisual", "true")
        # MuJoCo is about to do without the attribute.
        total = compiler.attrib.pop("settotalmass", None)
        model = self._mujoco.MjModel.from_xml_string(ElementTree.tostring(root, "unicode"))
        if total is not None:
            share = float(total) / sum(model.body_mass.tolist())
            model.body_mass *= share
            model.body_inertia *= share
            self._mujoco.mj_setConst(model, self._mujoco.MjData(model))
        # Physics that breaks is to be seen, not to begin again.
        model.opt.disableflags |= int(self._mujoco.mjtDisableBit.mjDSBL_AUTORESET)
        return model

    def _is_sound(self, states: np.ndarray) -> np.ndarray:
        """Where states [*, S] can be stepped, bool [*]."""
        p = self.positions
        known, speeds = states[..., : 3 * p], states[..., p : 2 * p]
        return np.asarray(np.isfinite(known).all(-1) & (np.abs(speeds).max(-1) < _FASTEST))

    def _report(self, numbers: list[float]) -> None:
        log.warning(
            "the physics of a machine has broken, it is left out: %s",
            ", ".join(f"{q.name}={v:.3g}" for q, v in zip(self.quantities, numbers, strict=True)),
        )


def _installed() -> Any:
    """The package mujoco; gymnasium, whose bodies are used, must be there as well.

    Raises:
        MissingExtraError: If one of them is not.
    """
    for package in ("mujoco", "gymnasium"):
        if find_spec(package) is None:
            raise MissingExtraError(package, "rl", "Physics of MuJoCo")
    import mujoco

    # What breaks is reported once by ourselves; MuJoCo would write a file of warnings into the folder that one happens to be in.
    if mujoco.get_mju_user_warning() is None:
        mujoco.set_mju_user_warning(_told_by_mujoco)
    return mujoco


def _told_by_mujoco(message: str) -> None:
    log.debug("MuJoCo says: %s", message)


__all__ = ["MujocoEnvironment"]
