"""Meta-training: a hypernetwork learns to write networks for tasks that it has not seen."""

import json
import logging
import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from netwright.artifacts import tensors_from_bytes, tensors_to_bytes
from netwright.errors import RunError, TrainingError
from netwright.hypernetwork import Hypernetwork
from netwright.objectives import (
    OBJECTIVES,
    Experienced,
    Objective,
    Score,
    objective_from_record,
    objective_record,
)
from netwright.objectives.memory import memory_of
from netwright.rng import derive_seed, stream
from netwright.runs import Run
from netwright.tasks import TaskBatch, TaskFamily
from netwright.tasks.sizes import by_architecture
from netwright.training.average import WeightAverage
from netwright.training.checkpoints import Checkpoint, Checkpoints
from netwright.training.interrupt import Interruption
from netwright.training.log import TrainingLog
from netwright.training.plan import difference, learning_rate, plan_run, resolve_device
from netwright.training.report import Reporter, reporter_for
from netwright.training.state import Progress, load_state, load_weights, state_files
from netwright.training.step import joined, training_step
from netwright.writer import Writer

# A run of steps without a single finite loss means that the weights are lost.
MOST_LEFT_OUT_IN_A_ROW = 10
VALIDATION_TASKS_AT_ONCE = 20
# What an objective that learns from experience keeps between steps.
EXPERIENCE = "experience.safetensors"


@dataclass(frozen=True)
class TrainingResult:
    """What came of a training.

    Args:
        run: The record that decided it.
        folder: Where it lies; None if nothing was saved.
        step: Steps taken.
        best_step: The step whose weights the hypernetwork now has.
        best_value: Its validation metric.
        cpu_seconds: CPU-seconds spent on training, validation included, resumed attempts counted in.
        log: Lines of the log.
    """

    run: Run
    folder: Path | None
    step: int
    best_step: int
    best_value: float | None
    cpu_seconds: float
    log: list[dict[str, Any]]


def train(
    hypernetwork: Writer,
    family: TaskFamily,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    objective: Objective | None = None,
    progress: bool = True,
    device: str = "cpu",
    **settings: Any,
) -> TrainingResult:
    """Meta-train a hypernetwork, or a rival of one; afterwards it has the weights of its best validation.

    Args:
        hypernetwork: What is trained, in place: a hypernetwork, or another `Writer` of `netwright.learners`.
        family: Where tasks come from; `train` tasks to learn, `validation` tasks to choose.
        folder: Run folder for checkpoints and log; None keeps nothing on disk.
        resume: Go on from the newest checkpoint in `folder`, to the same bits as if never stopped.
        objective: What children are scored by; by default what suits the family's labels, or what a run that is
            resumed was started with.
        progress: Whether to report on stderr.
        device: `cpu`, `cuda` or `auto`.
        settings: Fields of `TrainingRecord`, such as steps=5_000, tasks=16, learning_rate=1e-3.

    Raises:
        RunError: If a setting is unknown or out of range, or the folder belongs to another run.
        DataError: If the family cannot serve a batch.
        ArtifactError: If a checkpoint cannot be written or read.
        TrainingError: If losses stay not finite; the last good checkpoint is kept.
        KeyboardInterrupt: On Ctrl-C, after a checkpoint.
    """
    if objective is None and resume and folder is not None and Checkpoints(Path(folder)).steps():
        objective = _recorded(_saved_run(Checkpoints(Path(folder)).newest()))
    run = plan_run(hypernetwork, family, resolve_device(device), settings, objective)
    return train_run(
        run,
        hypernetwork,
        family,
        folder=folder,
        resume=resume,
        objective=objective,
        progress=progress,
    )


def train_run(
    run: Run,
    hypernetwork: Writer,
    family: TaskFamily,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    objective: Objective | None = None,
    progress: bool = True,
) -> TrainingResult:
    """Train as a record says; see `train`.

    Args:
        objective: The one that the record names; needed where a record alone cannot make it.

    Raises:
        RunError: If the objective is not the one that the record names.
    """
    objective = objective or _recorded(run) or OBJECTIVES[family.shape.kind]()
    given = run.model_copy(update={"objective": objective_record(objective)})
    if run.objective is not None and given.digest != run.digest:
        raise RunError(
            f"The objective is not the one of the record: {difference(run, given)}. "
            "Give `plan_run` the objective as well."
        )
    objective.check(family, hypernetwork.child)
    hypernetwork.to(run.device)
    training = _Training(
        run, hypernetwork, family, None if folder is None else Path(folder), objective
    )
    training.begin(resume)
    reporter = reporter_for(run.training.steps, training.progress.step, progress=progress)
    with reporter, Interruption() as interruption:
        training.go_on(reporter, interruption)
    training.finish()
    return training.result()


def _saved_run(checkpoint: Checkpoint) -> Run:
    return Run.from_json(checkpoint.files["run.json"], name=f"run record in {checkpoint.path}")


def _recorded(run: Run) -> Objective | None:
    """The objective that a record names, if it does."""
    return None if run.objective is None else objective_from_record(run.objective)


log = logging.getLogger(__name__)

# Weights of a few children are formed to be measured; of very large ones that would take long.
TASKS_TO_CHECK, MOST_TO_CHECK = 4, 1_000_000


class _Training:
    """The state of one training, between steps."""

    def __init__(
        self,
        run: Run,
        hypernetwork: Writer,
        family: TaskFamily,
        folder: Path | None,
        objective: Objective,
    ) -> None:
        self.run, self.record = run, run.training
        self.hypernetwork, self.family, self.folder = hypernetwork, family, folder
        self.objective = objective
        self.optimiser = torch.optim.AdamW(
            [p for p in hypernetwork.parameters() if p.requires_grad],
            lr=self.record.learning_rate,
            weight_decay=self.record.weight_decay,
            betas=(0.9, 0.99),
            fused=True,
        )
        averages = self.record.average > 0
        self.average = WeightAverage(hypernetwork, self.record.average) if averages else None
        self.checkpoints = None if folder is None else Checkpoints(folder)
        self.log = TrainingLog(None)
        self.progress = Progress()
        self.best_weights: dict[str, torch.Tensor] | None = None
        self._cpu_started = time.process_time()

    def begin(self, resume: bool) -> None:
        """Start afresh, or go on from the newest checkpoint."""
        log_path = None
        if self.checkpoints is not None and self.folder is not None:
            log_path = self.folder / "log.jsonl"
            there = self.checkpoints.steps()
            if there and not resume:
                raise RunError(
                    f"{self.folder} holds a run already (step {there[-1]}), expected a new folder. "
                    "Resume it (`--resume`, resume=True) or choose another folder."
                )
            if there:
                self._load(self.checkpoints.newest())
            elif resume:
                self.checkpoints.newest()  # says that there is none
            self.folder.mkdir(parents=True, exist_ok=True)
        self.log = TrainingLog(log_path, self.progress.log_bytes)
        if self.progress.step == 0 and not self.progress.finished:
            self._save()

    def _check_initialisation(self) -> None:
        """Say what is wrong with how the children start: a bad start looks like a bad method."""
        hypernetwork = self.hypernetwork
        if (
            not isinstance(hypernetwork, Hypernetwork)
            # One that is trained on does not begin as a child is initialised.
            or hypernetwork.run is not None
            or hypernetwork.child.space.size > MOST_TO_CHECK
            # What it reads is told only under way.
            or memory_of(hypernetwork.child)
        ):
            return
        rng = stream(self.record.seed, "initialisation")
        batch = self.family.sample(rng, TASKS_TO_CHECK, "train").to(self.run.device)
        found = hypernetwork.check_initialisation(batch.condition, batch.inputs)
        for problem in found.problems:
            log.warning("initialisation: %s", problem)

    def _load(self, checkpoint: Checkpoint) -> None:
        saved = _saved_run(checkpoint)
        if saved.objective is None:
            # From before objectives were recorded: it had whatever it is resumed with.
            saved = saved.model_copy(update={"objective": self.run.objective})
        if saved.digest != self.run.digest:
            raise RunError(
                f"{self.folder} belongs to another run: {difference(saved, self.run)}. "
                "Resume it with the settings it was started with."
            )
        self.progress = load_state(
            self.hypernetwork,
            self.optimiser,
            checkpoint.files,
            str(checkpoint.path),
            self.average,
        )
        if isinstance(self.objective, Experienced) and EXPERIENCE in checkpoint.files:
            self.objective.keep(tensors_from_bytes(checkpoint.files[EXPERIENCE]))

    def go_on(self, reporter: Reporter, interruption: Interruption) -> None:
        """Take steps until the end, an early stop, or a signal."""
        if self.progress.step == 0:
            self._check_initialisation()
        while not self.progress.finished:
            self._step(reporter)
            step = self.progress.step
            if step % self.record.validate_every == 0 or step == self.record.steps:
                self._validate(reporter)
            patience = self.record.patience
            is_stale = patience and self.progress.validations_without_gain >= patience
            if step >= self.record.steps or is_stale:
                self.progress = self.progress.but(finished=True)
                if step < self.record.steps:
                    reporter.say(f"step {step}: no gain in {patience} validations, stopping early")
            if (
                self.progress.finished
                or interruption.signal is not None
                or step % self.record.checkpoint_every == 0
            ):
                self._save()
            if interruption.signal is not None and not self.progress.finished:
                if self.folder is not None:
                    reporter.say(f"interrupted at step {step}; resume with --resume {self.folder}")
                interruption.leave()

    def _step(self, reporter: Reporter) -> None:
        step, record = self.progress.step, self.record
        objective = self.objective
        drawn_at = objective.drawn_at(step) if isinstance(objective, Experienced) else step
        rng = stream(record.seed, "train", drawn_at)
        batch = self.family.sample(rng, record.tasks, "train").to(self.run.device)
        self.hypernetwork.train()
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(record, step)
        with _seeded(derive_seed(record.seed, "step", step), self.run.device):
            if isinstance(objective, Experienced):
                batch = objective.gather(
                    self.hypernetwork, batch, step=step, steps=record.steps, seed=record.seed
                )
            done = training_step(
                self.hypernetwork,
                self.objective,
                self.optimiser,
                batch,
                clip=record.clip,
                stages=record.stages,
                recompute=record.recompute,
                kl_weight=record.kl_weight,
            )
        if self.average is not None and done.loss is not None:
            self.average.update(step)
        in_a_row = self.progress.left_out_in_a_row + 1 if done.left_out else 0
        self.progress = self.progress.but(
            step=step + 1,
            tasks_left_out=self.progress.tasks_left_out + done.left_out,
            left_out_in_a_row=in_a_row,
        )
        if in_a_row >= MOST_LEFT_OUT_IN_A_ROW:
            raise TrainingError(
                f"Losses were not finite in {in_a_row} steps in a row, up to step {step + 1}, expected "
                "finite ones. The last good checkpoint is kept; lower the learning rate or look for "
                "extreme values in the data."
            )
        # Kept in the progress: a checkpoint between two lines of the log must not lose these.
        self.progress = self.progress.but(since_log=(*self.progress.since_log, asdict(done)))
        if (step + 1) % record.log_every == 0 or step + 1 == record.steps:
            self._log_steps()
        reporter.step(step + 1, done.loss)

    def _log_steps(self) -> None:
        """One line with means over the steps since the last line."""
        steps = self.progress.since_log
        self.progress = self.progress.but(since_log=())
        taken = [step for step in steps if step["loss"] is not None]
        names = sorted({name for step in taken for name in step["metrics"]})
        self.log.append(
            {
                "step": self.progress.step,
                "loss": _mean([step["loss"] for step in taken]),
                **{name: _mean([step["metrics"][name] for step in taken]) for name in names},
                "learning_rate": learning_rate(self.record, self.progress.step - 1),
                "gradient_norm": _mean([step["gradient_norm"] for step in taken]),
                "tasks_left_out": sum(step["left_out"] for step in steps),
            }
        )

    def _validate(self, reporter: Reporter) -> None:
        with self._used_weights():
            loss, metrics = self._validation_scores()
        value = metrics[self.objective.metric]
        best, best_loss = self.progress.best_value, self.progress.best_loss
        is_better = math.isfinite(value) and (
            best is None
            or (value > best if self.objective.higher_is_better else value < best)
            # A metric that cannot rise further says no more: later weights may still be better.
            or (value == best and best_loss is not None and loss < best_loss)
        )
        line = {"step": self.progress.step, "validation_loss": loss}
        line.update({f"validation_{name}": metric for name, metric in metrics.items()})
        self.log.append(line)
        if is_better:
            with self._used_weights():
                self.best_weights = {
                    name: tensor.detach().clone()
                    for name, tensor in self.hypernetwork.state_dict().items()
                }
            self.progress = self.progress.but(
                best_step=self.progress.step,
                best_value=value,
                best_loss=loss if math.isfinite(loss) else None,
                validations_without_gain=0,
            )
            # Saved at once: the best weights must be on disk before anything builds on them.
            self._save()
        else:
            self.progress = self.progress.but(
                validations_without_gain=self.progress.validations_without_gain + 1
            )
        mark = "  (best)" if is_better else ""
        reporter.say(
            f"step {self.progress.step}: validation {self.objective.metric} {value:.4f}, "
            f"loss {loss:.4f}{mark}"
        )

    def _used_weights(self) -> AbstractContextManager[None]:
        """While entered, the hypernetwork has the weights that it is evaluated and used with."""
        return nullcontext() if self.average is None else self.average.applied()

    def _validation_scores(self) -> tuple[float, dict[str, float]]:
        """Means over the same validation tasks every time."""
        self.hypernetwork.eval()
        losses: list[torch.Tensor] = []
        metrics: dict[str, list[torch.Tensor]] = {}
        tasks = self.record.validation_tasks
        with torch.no_grad():
            for i, first in enumerate(range(0, tasks, VALIDATION_TASKS_AT_ONCE)):
                rng = stream(self.record.seed, "validation", i)
                count = min(VALIDATION_TASKS_AT_ONCE, tasks - first)
                batch = self.family.sample(rng, count, "validation").to(self.run.device)
                batch = self.hypernetwork.tries(
                    batch, seed=derive_seed(self.record.seed, "validation", "try", i)
                )
                score = self._score(batch)
                # A task that breaks says nothing of the weights; if all do, that is said.
                sound = score.loss.isfinite()
                if not sound.all():
                    log.warning("validation: %d tasks gave no finite loss", int((~sound).sum()))
                if not sound.any():
                    sound = ~sound
                losses.append(score.loss[sound])
                for name, value in score.metrics.items():
                    metrics.setdefault(name, []).append(value[sound])
        means = {name: float(torch.cat(values).mean()) for name, values in metrics.items()}
        return float(torch.cat(losses).mean()), means

    def _score(self, batch: TaskBatch) -> Score:
        """Of the tasks of a batch; where they ask for architectures, group by group."""
        return joined(
            [
                self.objective(own.child, own(part.condition), part)
                for own, part, _ in by_architecture(self.hypernetwork, batch)
            ]
        )

    def _save(self) -> None:
        if self.checkpoints is None:
            return
        now = time.process_time()
        self.log.sync()
        self.progress = self.progress.but(
            log_bytes=self.log.length,
            cpu_seconds=self.progress.cpu_seconds + now - self._cpu_started,
        )
        self._cpu_started = now
        files = state_files(self.hypernetwork, self.optimiser, self.progress, self.average)
        if isinstance(self.objective, Experienced) and (kept := self.objective.kept()):
            files[EXPERIENCE] = tensors_to_bytes(kept)
        files["run.json"] = self.run.to_json()
        files["preparation.json"] = json.dumps(self.family.preparation()).encode()
        self.checkpoints.write(self.progress.step, files, keep={self.progress.best_step})

    def finish(self) -> None:
        """Give the hypernetwork the weights of the best validation."""
        if self.checkpoints is not None and self.progress.best_step >= 0:
            best = self.checkpoints.read(self.progress.best_step)
            load_weights(self.hypernetwork, best.files, str(best.path))
        elif self.best_weights is not None:
            self.hypernetwork.load_state_dict(self.best_weights)
        self.hypernetwork.run, self.hypernetwork.run_digest = self.run, self.run.digest
        self.hypernetwork.run_folder = "" if self.folder is None else str(self.folder)
        self.hypernetwork.preparation = self.family.preparation()
        self.hypernetwork.eval()

    def result(self) -> TrainingResult:
        """What came of it."""
        spent = self.progress.cpu_seconds + time.process_time() - self._cpu_started
        return TrainingResult(
            run=self.run,
            folder=self.folder,
            step=self.progress.step,
            best_step=self.progress.best_step,
            best_value=self.progress.best_value,
            cpu_seconds=spent,
            log=self.log.lines,
        )


@contextmanager
def _seeded(seed: int, device: str) -> Iterator[None]:
    """Dropout and its like as a pure function of the step; the caller's random state is untouched."""
    devices = [torch.cuda.current_device()] if device == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def _mean(values: list[float]) -> float | None:
    """None for no values: NaN is not JSON."""
    return sum(values) / len(values) if values else None


__all__ = ["TrainingResult", "train", "train_run"]
