"""What a pendulum costs without a hypernetwork: PPO or SAC of Stable-Baselines3 from scratch on each machine.

    pip install stable-baselines3
    python benchmarks/control_ppo.py --run runs/control-pendulum/runs/pendulum/DIGEST
    python benchmarks/control_ppo.py --run runs/control-pendulum/runs/pendulum/DIGEST --algorithm sac --machines 3 --most 10000

Settings are those of the RL Zoo for Pendulum-v1. Every 8,192 steps (of SAC, 1,000) the policy flies the same 40 episodes as the policy that the hypernetwork
has written for that machine; what counts is how many steps it takes to be as good, or within a share (`--tolerance`) of the difference between that and
a policy that does nothing.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env

from netwright.conditions import Condition, ExampleSet
from netwright.environments import Environment
from netwright.objectives.rollout import roll_out
from netwright.rng import stream
from netwright.tasks import Control, EpisodeBatch
from netwright.training import load_writer

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

EVERY, EPISODES = {"ppo": 8_192, "sac": 1_000}, 40


class OneMachine(gymnasium.Env[np.ndarray, np.ndarray]):
    """One of our machines as an environment of gymnasium."""

    def __init__(self, environment: Environment, machine: torch.Tensor) -> None:
        self.environment, self.machine = environment, machine
        shape = (environment.observations,)
        self.observation_space = gymnasium.spaces.Box(-10, 10, shape, np.float32)
        self.action_space = gymnasium.spaces.Box(-1, 1, (environment.actions,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:  # fmt: skip
        """A new episode."""
        super().reset(seed=seed)
        rng = np.random.default_rng(int(self.np_random.integers(2**31)))
        self.state, self.count = self.environment.start(rng, 1, 1), 0
        return self._seen(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One step."""
        act = torch.from_numpy(np.asarray(action, dtype=np.float32)).view(1, 1, -1)
        reward = float(self.environment.reward(self.state, act, self.machine))
        self.state = self.environment.step(self.state, act, self.machine)
        self.count += 1
        over = bool(self.environment.failed(self.state, self.machine))
        return self._seen(), reward, over, self.count >= self.environment.steps, {}

    def _seen(self) -> np.ndarray:
        return self.environment.observe(self.state, self.machine)[0, 0].numpy()


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--algorithm", choices=EVERY, default="ppo")
    parser.add_argument("--machines", type=int, default=5)
    parser.add_argument("--tolerance", type=float, default=0.05)
    parser.add_argument("--most", type=int, default=600_000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    writer, _ = load_writer(args.run)
    family = Control("pendulum")
    environment = family.environment
    machines = family.machines(stream(0, "ppo"), args.machines, "test")
    needed, costs, reached, seconds = [], [], 0, time.process_time()
    for i in range(args.machines):
        machine = machines[i : i + 1]
        start = environment.start(stream(0, "start", i), 1, EPISODES)
        batch = EpisodeBatch(
            Condition(context=machine), ExampleSet.of(start, start[..., :1]), machine, environment
        )
        with torch.no_grad():
            params = writer(batch.condition)
        own = float(roll_out(lambda x: writer.child(params, x), batch).rewards.sum(dim=2).mean())  # noqa: B023
        idle = float(roll_out(lambda x: 0 * x[..., :1], batch).rewards.sum(dim=2).mean())
        goal = own - args.tolerance * (own - idle)
        model = learner(args.algorithm, environment, machine, seed=i)
        steps, found, each, begun = 0, -np.inf, EVERY[args.algorithm], time.process_time()
        while steps < args.most and found < goal:
            model.learn(each, reset_num_timesteps=False)
            steps += each
            found = float(roll_out(lambda x: _said(model, x), batch).rewards.sum(dim=2).mean())  # noqa: B023
        costs.append(time.process_time() - begun)
        reached += found >= goal
        needed.append(steps if found >= goal else args.most)
        print(f"machine {i}: written {own:.1f}, {args.algorithm} {found:.1f} after {steps} steps and {costs[-1]:.0f} CPU-s, idle {idle:.0f}", flush=True)  # fmt: skip
    spent = time.process_time() - seconds
    name = f"pendulum-{args.algorithm}-steps" + ("" if args.tolerance else "-equal")
    command = f"python benchmarks/control_ppo.py --run RUN --tolerance {args.tolerance:g} --most {args.most}"
    if args.algorithm != "ppo":
        command += f" --algorithm {args.algorithm}"
    note = (
        f"until within {args.tolerance:.0%} of the return of the written policy, which has taken none; {args.most} is where it was stopped "
        f"({reached} of {len(needed)} came there before); each: {needed}, CPU-seconds {[round(c) for c in costs]}"
    )
    row = Row(
        name, float(np.median(needed)), float(min(needed)), float(max(needed)), "environment steps per machine",
        True, len(needed), [0], spent, f"{command} --machines {args.machines}", note,
    )  # fmt: skip
    write_rows("control", [row])


def learner(
    algorithm: str, environment: Environment, machine: torch.Tensor, *, seed: int
) -> BaseAlgorithm:
    """An algorithm of Stable-Baselines3 for one machine, with the settings of the RL Zoo."""
    vector = make_vec_env(
        lambda: OneMachine(environment, machine), n_envs=4 if algorithm == "ppo" else 1, seed=seed
    )
    if algorithm == "sac":
        return SAC("MlpPolicy", vector, learning_rate=1e-3, seed=seed, device="cpu")
    return PPO(
        "MlpPolicy", vector, n_steps=1024, gae_lambda=0.95, gamma=0.9, n_epochs=10, ent_coef=0.0,
        learning_rate=1e-3, clip_range=0.2, use_sde=True, sde_sample_freq=4, seed=seed, device="cpu",
    )  # fmt: skip


def _said(model: BaseAlgorithm, seen: torch.Tensor) -> torch.Tensor:
    flat = seen.flatten(0, 1).numpy()
    actions, _ = model.predict(flat, deterministic=True)
    return torch.from_numpy(actions).view(*seen.shape[:2], -1)


if __name__ == "__main__":
    main()
