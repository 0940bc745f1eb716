"""Machines of MuJoCo: policies written for unseen ones, beside PPO of Stable-Baselines3 from scratch on each.

    pip install stable-baselines3
    python benchmarks/control_mujoco.py train --folder runs/control-mujoco
    python benchmarks/control_mujoco.py train --folder runs/control-mujoco --kind joint
    python benchmarks/control_mujoco.py ppo --folder runs/control-mujoco
    python benchmarks/control_mujoco.py compare --folder runs/control-mujoco

`train` scores a writer of policies on 100 unseen machines. `ppo` trains one policy for each of a few of these, with the settings of the RL Zoo for
HalfCheetah-v4 or those that are usual for Stable-Baselines3 (`--settings`, chosen on a machine of validation with `--split validation`), until its
return no longer rises. `compare` lets both act in the same episodes. Trainings go on where they were stopped; those that are done are not repeated.
"""

import argparse
import json
import sys
import time
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

NAME = "half-cheetah"
ROUNDS, UPDATES = 250, 24
OBJECTIVE = {"spread": (0.6, 0.2), "updates": UPDATES}
TASKS, EPISODES = 100, 20
KINDS = ("hypernetwork", "film", "concat", "joint")
COMMAND = "python benchmarks/control_mujoco.py {}"
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
    """Episodes of one machine, all of the same length, as environments of Stable-Baselines3."""

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
        self.state, self.count = self.environment.start(self.rng, 1, AT_ONCE), 0
        return self._seen()

    def step_async(self, actions: np.ndarray) -> None:
        """Keep what is to be done."""
        self.action = torch.from_numpy(np.asarray(actions, dtype=np.float32))[None]

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """One step of all episodes; when they are over, new ones begin."""
        rewards = self.environment.reward(self.state, self.action, self.machine)[0].numpy()
        self.state = self.environment.step(self.state, self.action, self.machine)
        self.count += 1
        seen, over = self._seen(), self.count >= self.environment.steps
        told: list[dict[str, Any]] = [{} for _ in range(AT_ONCE)]
        if over:
            # The end of time is not the end of the world: what follows is worth what the critic says.
            told = [{"terminal_observation": s, "TimeLimit.truncated": True} for s in seen]
            seen = self.reset()
        return seen, rewards, np.full(AT_ONCE, over), told

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


def written(folder: Path, kind: str, seed: int, rounds: int) -> tuple[Writer, float]:
    """What writes policies, and CPU-seconds of its training."""
    return trained(
        folder, Control(NAME), seed, rounds * UPDATES, kind=kind, objective=OBJECTIVE, validate_every=25 * UPDATES,
        validation_tasks=48, checkpoint_every=25 * UPDATES,
    )  # fmt: skip


def scored(folder: Path, kind: str, seed: int, rounds: int) -> list[Row]:
    """Return and success on unseen machines."""
    writer, cpu = written(folder, kind, seed, rounds)
    family = Control(NAME)
    found = nw.evaluate(writer, family, tasks=TASKS)
    steps = rounds * 128 * family.environment.steps
    rows = []
    for name, unit in (("return", f"of {family.environment.steps}"), ("success", "share")):
        metric = found.metrics[name]
        shuffled = found.shuffled[name].value if name in found.shuffled else float("nan")
        rows.append(
            Row(
                f"{NAME}-{kind}-{name}", metric.value, metric.low, metric.high, unit, True, TASKS, [seed], cpu,
                COMMAND.format(f"train --kind {kind}{'' if rounds == ROUNDS else f' --rounds {rounds}'} --folder RUNS"),
                f"unseen machines x 4 episodes, at 0 steps on them; {steps / 1e6:.1f} M steps of training on others; policies of other machines: {shuffled:.4g}",
            )
        )  # fmt: skip
    return rows


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
    folder: Path, split: str, index: int, settings: str, most_seconds: float
) -> dict[str, Any]:
    """The returns of a PPO that is trained on one machine, over its steps; kept in the folder."""
    file = folder / f"ppo-{split}-{index}-{settings}.json"
    if file.exists():
        return dict(json.loads(file.read_text()))
    batch = episodes_of(Control(NAME), split, index)
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


def compared(folder: Path, machines: int, settings: str, seed: int) -> list[Row]:
    """Written policies and those of PPO, in the same episodes of the same machines."""
    family = Control(NAME)
    results = [from_scratch(folder, "test", i, settings, 0) for i in range(machines)]
    best = np.array([max(found for _, found, _ in r["curve"]) for r in results])
    rows = []
    told = "; ".join(
        f"{', '.join(f'{q.name} {v:.2f}' for q, v in zip(family.environment.quantities, r['machine'], strict=True))}: {b:.1f} "
        f"after {r['curve'][-1][0]} steps{', still rising' if is_rising(r['curve']) else ''}"
        for r, b in zip(results, best, strict=True)
    )
    spent = [r["curve"][-1][2] for r in results]
    for kind in KINDS:
        found = Checkpoints(folder / f"{kind}-{seed}").steps()
        if not found or max(found) < ROUNDS * UPDATES:
            continue
        writer, cpu = written(folder, kind, seed, ROUNDS)
        own = []
        for i in range(machines):
            batch = episodes_of(family, "test", i)
            with torch.no_grad():
                params = writer(batch.condition)
            own.append(earned(roll_out(lambda x: writer.child(params, x), batch)))  # noqa: B023
        shares = 100 * np.array(own) / best
        each = ", ".join(f"{v:.1f}" for v in own)
        rows.append(
            Row(
                "mujoco" if kind == "hypernetwork" else f"mujoco-{kind}", float(shares.mean()), float(shares.min()),
                float(shares.max()), "% of the return of PPO on the machine itself", True, machines, [seed], cpu,
                COMMAND.format("compare --folder RUNS"),
                f"{NAME}, at 0 steps on {machines} unseen machines x {EPISODES} episodes, returns {each}; PPO ({settings}), the best of its scores: {told}",
            )
        )  # fmt: skip
    steps = [r["curve"][-1][0] for r in results]
    rows.append(
        Row(
            f"{NAME}-ppo-return", float(best.mean()), float(best.min()), float(best.max()), f"of {family.environment.steps}", True,
            machines, [*range(machines)], float(np.sum(spent)), COMMAND.format(f"ppo --settings {settings} --folder RUNS"),
            f"PPO of Stable-Baselines3 ({settings}), on each machine for itself; steps {steps}, CPU-seconds {[round(s) for s in spent]}",
        )
    )  # fmt: skip
    return rows


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["train", "ppo", "compare"])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--kind", choices=KINDS, default="hypernetwork")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of acting, in training")
    parser.add_argument("--split", choices=["test", "validation"], default="test")
    parser.add_argument("--settings", choices=SETTINGS, default="usual")
    parser.add_argument("--machines", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=240, help="CPU-seconds of PPO per machine")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.what == "ppo":
        for i in range(args.machines):
            from_scratch(args.folder, args.split, i, args.settings, args.seconds)
        return
    if args.what == "train":
        rows = scored(args.folder, args.kind, args.seed, args.rounds)
    else:
        rows = compared(args.folder, args.machines, args.settings, args.seed)
    write_rows("control_mujoco", rows)


if __name__ == "__main__":
    main()
