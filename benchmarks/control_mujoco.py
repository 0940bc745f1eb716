"""Machines of MuJoCo: policies written for unseen ones, beside PPO of Stable-Baselines3 from scratch on each.

    pip install stable-baselines3
    python benchmarks/control_mujoco.py train --folder runs/control-mujoco
    python benchmarks/control_mujoco.py train --folder runs/control-mujoco --kind joint
    python benchmarks/control_mujoco.py ppo --folder runs/control-mujoco
    python benchmarks/control_mujoco.py compare --folder runs/control-mujoco
    python benchmarks/control_mujoco.py train --body hopper --seeds 3 --folder runs/control-mujoco

`train` scores a writer of policies on 100 unseen machines. `ppo` trains one policy for each of a few of these, with the settings of the RL Zoo for
HalfCheetah-v4 or those that are usual for Stable-Baselines3 (`--settings`, chosen on a machine of validation with `--split validation`), until its
return no longer rises. `compare` lets both act in the same episodes. With `--seeds 3` both are for the trainings 0, 1 and 2: rows are means of these, with the
smallest and the largest as their ends. Trainings go on where they were stopped; those that are done are not repeated. Bodies other than the half-cheetah
have a folder of their own within that which is given.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

import netwright as nw
from netwright.conditions import Condition, ExampleSet
from netwright.objectives.rollout import Episodes, roll_out
from netwright.rng import stream
from netwright.tasks import Control, EpisodeBatch
from netwright.training import Checkpoints
from netwright.writer import Writer

sys.path.insert(0, str(Path(__file__).parent))
from control import trained
from records import Row, write_rows

UPDATES = 24


@dataclass(frozen=True)
class Body:
    """How policies for a body are trained."""

    name: str
    rounds: int
    objective: dict[str, Any] = field(default_factory=dict)

    def folder(self, folder: Path) -> Path:
        """Where its trainings are."""
        return folder if self.name == DEFAULT else folder / self.name

    def command(self, what: str, *said: str) -> str:
        """What makes a row."""
        told = [f"--body {self.name}"] if self.name != DEFAULT else []
        said = tuple(filter(None, said))
        return " ".join(
            ["python benchmarks/control_mujoco.py", what, *told, *said, "--folder RUNS"]
        )


DEFAULT = "half-cheetah"
# Bodies that may fall take steps of a sixth of the time: what lies as far ahead is more of them.
BODIES = {
    body.name: body
    for body in (
        Body(DEFAULT, 250, {"spread": (0.6, 0.2)}),
        Body("hopper", 150, {"spread": (0.6, 0.2), "discount": 0.99}),
        Body("walker", 150, {"spread": (0.6, 0.2), "discount": 0.99}),
    )
}
TASKS, EPISODES = 100, 20
KINDS = ("hypernetwork", "film", "concat", "joint")
# Steps of PPO between scores, and how many scores without a rise of so large a share of the best end it.
EVERY, PATIENCE, RISE = 20_480, 6, 0.01
# Episodes of a machine that PPO is stepped through at once: for speed alone.
AT_ONCE = 8
SETTINGS: dict[str, dict[str, Any]] = {
    "zoo": {
        "n_steps": 512 // AT_ONCE, "batch_size": 64, "n_epochs": 20, "gamma": 0.98, "gae_lambda": 0.92, "clip_range": 0.1,
        "learning_rate": 2.0633e-5, "ent_coef": 0.000401762, "vf_coef": 0.58096, "max_grad_norm": 0.8,
        "policy_kwargs": {
            "log_std_init": -2, "ortho_init": False, "activation_fn": torch.nn.ReLU, "net_arch": {"pi": [256, 256], "vf": [256, 256]},
        },
    },
    "usual": {
        "n_steps": 2048 // AT_ONCE, "batch_size": 64, "n_epochs": 10, "gamma": 0.99, "gae_lambda": 0.95, "clip_range": 0.2,
        "learning_rate": 3e-4,
    },
}  # fmt: skip


class OneMachine(VecEnv):
    """Episodes of one machine, as environments of Stable-Baselines3."""

    def __init__(self, batch: EpisodeBatch, seed: int) -> None:
        self.environment, self.machine = batch.environment, batch.machine
        self.rng = np.random.default_rng(seed)
        self.render_mode = None
        box = gymnasium.spaces.Box
        super().__init__(
            AT_ONCE,
            box(-np.inf, np.inf, (self.environment.observations,), np.float32),
            box(-1, 1, (self.environment.actions,), np.float32),
        )

    def reset(self) -> np.ndarray:
        """New episodes."""
        self.state = self.environment.start(self.rng, 1, AT_ONCE)
        self.count = np.zeros(AT_ONCE, dtype=int)
        return self._seen()

    def step_async(self, actions: np.ndarray) -> None:
        """Keep what is to be done."""
        self.action = torch.from_numpy(np.asarray(actions, dtype=np.float32))[None]

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """One step of all episodes; where they are over, new ones begin."""
        rewards = self.environment.reward(self.state, self.action, self.machine)[0].numpy()
        self.state = self.environment.step(self.state, self.action, self.machine)
        self.count += 1
        seen, ended = self._seen(), self.environment.finished(self.state, self.machine)[0].numpy()
        over = ended | (self.count >= self.environment.steps)
        told: list[dict[str, Any]] = [{} for _ in range(AT_ONCE)]
        if over.any():
            # The end of time is not the end of the world: what follows is worth what the critic says.
            told = [
                {"terminal_observation": s, "TimeLimit.truncated": not e} if o else {}
                for s, e, o in zip(seen, ended, over, strict=True)
            ]
            fresh = self.environment.start(self.rng, 1, AT_ONCE)
            self.state = torch.where(torch.from_numpy(over)[None, :, None], fresh, self.state)
            self.count[over] = 0
            seen = self._seen()
        return seen, rewards, over, told

    def _seen(self) -> np.ndarray:
        return self.environment.observe(self.state, self.machine)[0].numpy()

    def close(self) -> None:
        """Nothing is open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The same for each."""
        return [getattr(self, attr_name)] * AT_ONCE

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """For all of them."""
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:  # fmt: skip
        """There are none."""
        raise NotImplementedError(method_name)

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """They are not."""
        return [False] * AT_ONCE


def written(body: Body, folder: Path, kind: str, seed: int, rounds: int) -> tuple[Writer, float]:
    """What writes policies, and CPU-seconds of its training."""
    return trained(
        body.folder(folder), Control(body.name), seed, rounds * UPDATES, kind=kind,
        objective={"updates": UPDATES, **body.objective}, validate_every=25 * UPDATES, validation_tasks=48,
        checkpoint_every=25 * UPDATES,
    )  # fmt: skip


def scored(body: Body, folder: Path, kind: str, seeds: Sequence[int], rounds: int) -> list[Row]:
    """Return and success on unseen machines."""
    family = Control(body.name)
    found, cpu = [], 0.0
    for seed in seeds:
        writer, spent = written(body, folder, kind, seed, rounds)
        found.append(nw.evaluate(writer, family, tasks=TASKS))
        cpu += spent
    steps = rounds * 128 * family.environment.steps
    rows = []
    for name, unit in (("return", f"of {family.environment.steps}"), ("success", "share")):
        metrics = [f.metrics[name] for f in found]
        shuffled = np.mean(
            [f.shuffled[name].value if name in f.shuffled else np.nan for f in found]
        )
        value, low, high, each = over_seeds(
            [m.value for m in metrics], (metrics[0].low, metrics[0].high)
        )
        rows.append(
            Row(
                f"{body.name}-{kind}-{name}", value, low, high, unit, True, TASKS, [*seeds], round(cpu, 1),
                body.command(
                    "train", f"--kind {kind}", "" if rounds == body.rounds else f"--rounds {rounds}", of_seeds(seeds)
                ),
                f"unseen machines x 4 episodes, at 0 steps on them; {'up to ' if body.name != DEFAULT else ''}{steps / 1e6:.1f} M steps of training on others; "
                f"policies of other machines: {shuffled:.4g}{each}",
            )
        )  # fmt: skip
    return rows


def over_seeds(values: list[float], ends: tuple[float | None, float | None]) -> tuple[float, float | None, float | None, str]:  # fmt: skip
    """Mean over trainings with the smallest and the largest, and each of them for people; of one training what it is, with its own ends."""
    if len(values) == 1:
        return values[0], *ends, ""
    each = ", ".join(f"{v:.4g}" for v in values)
    return float(np.mean(values)), min(values), max(values), f"; seeds: {each}"


def of_seeds(seeds: Sequence[int]) -> str:
    """How trainings are asked for; the first one alone goes without saying."""
    if len(seeds) > 1:
        return f"--seeds {len(seeds)}"
    return f"--seed {seeds[0]}" if seeds[0] else ""


def episodes_of(family: Control, split: str, index: int) -> EpisodeBatch:
    """One machine that training has not seen, and the states that it is scored from."""
    environment = family.environment
    machine = family.machines(stream(0, "ppo"), index + 1, split)[index:]  # type: ignore[arg-type]
    start = environment.start(stream(0, "start", split, index), 1, EPISODES)
    query = ExampleSet.of(start, start[..., :1])
    return EpisodeBatch(Condition(context=machine), query, machine, environment)


def earned(episodes: Episodes) -> float:
    """Mean return."""
    return float(episodes.rewards.sum(dim=2).mean())


def is_rising(curve: list[Any]) -> bool:
    """Whether the best of the last returns is better than the best of those before."""
    returns = [found for _, found, _ in curve]
    if len(returns) <= PATIENCE:
        return True
    before = max(returns[:-PATIENCE])
    return max(returns) > before + RISE * abs(before)


def from_scratch(
    body: Body, folder: Path, split: str, index: int, settings: str, most_seconds: float
) -> dict[str, Any]:
    """The returns of a PPO that is trained on one machine, over its steps; kept in the folder."""
    file = body.folder(folder) / f"ppo-{split}-{index}-{settings}.json"
    if file.exists():
        return dict(json.loads(file.read_text()))
    batch = episodes_of(Control(body.name), split, index)
    vector = OneMachine(batch, seed=index)
    chosen = SETTINGS[settings]
    normal = VecNormalize(vector, gamma=chosen["gamma"])
    model = PPO("MlpPolicy", normal, seed=index, device="cpu", **chosen)

    def said(seen: torch.Tensor) -> torch.Tensor:
        flat = normal.normalize_obs(seen.flatten(0, 1).numpy())
        actions, _ = model.predict(flat, deterministic=True)
        return torch.from_numpy(actions).view(*seen.shape[:2], -1)

    started, spent, curve = time.process_time(), 0.0, []
    while is_rising(curve) and spent < most_seconds:
        model.learn(EVERY, reset_num_timesteps=False)
        # What it takes to watch it is not its own.
        spent += time.process_time() - started
        found = earned(roll_out(said, batch))
        curve.append((model.num_timesteps, found, spent))
        print(f"{split} {index} {settings}: {curve[-1][0]} steps, return {found:.1f}, {spent:.0f} CPU-seconds", flush=True)  # fmt: skip
        started = time.process_time()
    result = {"machine": batch.machine[0].tolist(), "curve": curve}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result))
    return result


def are_trained(body: Body, folder: Path, kind: str, seeds: Sequence[int]) -> bool:
    """Whether all of them are; said, if it is only some."""
    done = []
    for seed in seeds:
        found = Checkpoints(body.folder(folder) / f"{kind}-{seed}").steps()
        if found and max(found) >= body.rounds * UPDATES:
            done.append(seed)
    if done and len(done) < len(seeds):
        print(
            f"{kind}: of the trainings {[*seeds]} only {done} are done, it is left out", flush=True
        )
    return len(done) == len(seeds)


def compared(body: Body, folder: Path, machines: int, settings: str, seeds: Sequence[int]) -> list[Row]:  # fmt: skip
    """Written policies and those of PPO, in the same episodes of the same machines."""
    family = Control(body.name)
    results = [from_scratch(body, folder, "test", i, settings, 0) for i in range(machines)]
    best = np.array([max(found for _, found, _ in r["curve"]) for r in results])
    rows = []
    told = "; ".join(
        f"{', '.join(f'{q.name} {v:.2f}' for q, v in zip(family.environment.quantities, r['machine'], strict=True))}: {b:.1f} "
        f"after {r['curve'][-1][0]} steps{', still rising' if is_rising(r['curve']) else ''}"
        for r, b in zip(results, best, strict=True)
    )
    spent = [r["curve"][-1][2] for r in results]
    usual = body.name == DEFAULT
    for kind in KINDS:
        if not are_trained(body, folder, kind, seeds):
            continue
        own, cpu = [], 0.0
        for seed in seeds:
            writer, trained_for = written(body, folder, kind, seed, body.rounds)
            own.append([earned_by(writer, episodes_of(family, "test", i)) for i in range(machines)])
            cpu += trained_for
        shares = 100 * np.array(own) / best
        value, low, high, each = over_seeds(
            shares.mean(axis=1).tolist(), (float(shares.min()), float(shares.max()))
        )
        returns = ", ".join(f"{v:.1f}" for v in np.mean(own, axis=0))
        name = "mujoco" if usual else f"mujoco-{body.name}"
        rows.append(
            Row(
                name if kind == "hypernetwork" else f"{name}-{kind}", value, low, high,
                "% of the return of PPO on the machine itself", True, machines, [*seeds], round(cpu, 1),
                body.command("compare", of_seeds(seeds)),
                f"{body.name}, at 0 steps on {machines} unseen machines x {EPISODES} episodes, returns {returns}{each}; "
                f"PPO ({settings}), the best of its scores: {told}",
            )
        )  # fmt: skip
    steps = [r["curve"][-1][0] for r in results]
    rows.append(
        Row(
            f"{body.name}-ppo-return", float(best.mean()), float(best.min()), float(best.max()), f"of {family.environment.steps}", True,
            machines, [*range(machines)], round(float(np.sum(spent)), 1), body.command("ppo", f"--settings {settings}"),
            f"PPO of Stable-Baselines3 ({settings}), on each machine for itself; steps {steps}, CPU-seconds {[round(s) for s in spent]}",
        )
    )  # fmt: skip
    return rows


@torch.no_grad()
def earned_by(writer: Writer, batch: EpisodeBatch) -> float:
    """Mean return of policies that are written for machines."""
    params = writer(batch.condition)
    return earned(roll_out(lambda x: writer.child(params, x), batch))


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["train", "ppo", "compare"])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--body", choices=BODIES, default=DEFAULT)
    parser.add_argument("--kind", choices=KINDS, default="hypernetwork")
    many = parser.add_mutually_exclusive_group()
    many.add_argument("--seed", type=int, default=0, help="of one training")
    many.add_argument("--seeds", type=int, help="so many trainings, from seed 0 on")
    parser.add_argument(
        "--rounds", type=int, help="of acting, in training; by default those of the body"
    )
    parser.add_argument("--split", choices=["test", "validation"], default="test")
    parser.add_argument("--settings", choices=SETTINGS, default="usual")
    parser.add_argument("--machines", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=240, help="CPU-seconds of PPO per machine")
    args = parser.parse_args()
    torch.set_num_threads(1)
    body = BODIES[args.body]
    seeds = [args.seed] if args.seeds is None else [*range(args.seeds)]
    if not seeds:
        parser.error(f"--seeds is {args.seeds}, expected at least 1")
    if args.what == "ppo":
        for i in range(args.machines):
            from_scratch(body, args.folder, args.split, i, args.settings, args.seconds)
        return
    if args.what == "train":
        rows = scored(body, args.folder, args.kind, seeds, args.rounds or body.rounds)
    else:
        rows = compared(body, args.folder, args.machines, args.settings, seeds)
    write_rows("control_mujoco", rows)


if __name__ == "__main__":
    main()
