"""The training loop that all three stages share.

A step queues its work on the GPU and does not wait for it: losses are read every `LOG_EVERY` steps.

A run resumes from its last checkpoint. Checkpoints are written between two steps: at each
evaluation, every `KEEP_EVERY` seconds, and on interruption. After an error, the last one remains.

All processes of a run (`ranks`) take the same steps and stop after the same one. The first one
alone evaluates, and reads and writes the run's folder.
"""

import math
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor, nn

from blurdm_cli.engine.torch_runtime import move
from blurdm_cli.errors import StepTooLarge
from blurdm_cli.machine import lacks_memory
from blurdm_cli.training import ranks
from blurdm_cli.training.batches import batches
from blurdm_cli.training.interruption import interruptions
from blurdm_cli.training.meter import Meter
from blurdm_cli.training.metrics import psnr
from blurdm_cli.training.model import Sleepers
from blurdm_cli.training.pairs import Batch, Order, Source
from blurdm_cli.training.recipe import Objective, Progress, Recipe
from blurdm_cli.training.run import RunFolder
from blurdm_cli.training.state import State, seed_of

LOG_EVERY = 50
"""Largest number of steps between two rows of losses.csv."""

KEEP_EVERY = 300.0
"""Largest time between two checkpoints, in seconds, plus one step."""

WATCHED = 32
"""Batches, besides the validation crops, that a unit must be dormant on to be woken."""

WAKING_SHARE = 0.8
"""Share of a run during which evaluations wake dormant units: later, too little time is left for
them to learn."""


@dataclass(frozen=True)
class Machine:
    """Where and how to compute. Results differ only by rounding, most of all in bf16."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    bf16: bool = False
    """Compute in bfloat16 where autocast considers it safe."""
    compiled: bool = False
    """Compile the loss with PyTorch: half a minute at the start, then faster steps."""
    deadline: float = math.inf
    """When `time.monotonic()` reaches this, write a checkpoint and stop, to be resumed later."""
    resume: bool = False


@dataclass(eq=False)
class Trainer:
    """Trains the objective of one stage in a run folder.

    Its state is the one to start from, or that of the folder's checkpoint if the run is resumed.

    Raises:
        StepTooLarge: the device's memory is too small for the networks.
    """

    objective: Objective
    source: Source
    validation: Batch
    """Crops to evaluate on; only those of rank 0 are used."""
    recipe: Recipe
    machine: Machine
    run: RunFolder
    report: Callable[[Progress], None] = lambda progress: None
    """Called with the progress at each row of losses.csv."""
    state: State = field(init=False)
    _resumed: bool = field(init=False)

    def __post_init__(self) -> None:
        with self._enough_memory():
            move(self.objective, self.machine.device)
            saved = ranks.from_first(self.run.load) if self.machine.resume else None
            self.state = State.start(self.objective, self.recipe)
            self._resumed = saved is not None
            if saved is not None:
                self.state.load(saved)

    def fit(self) -> Progress:
        """Train until the end of the recipe or the deadline, then set the weights to their EMA.

        A step whose loss or gradients are not finite is skipped and counted.

        Returns:
            The progress at the end, with the last evaluation; its fraction is below 1 if the
            deadline came first.

        Raises:
            TrainingError: the losses stay non-finite.
            StepTooLarge: the device's memory is too small for a step.
            KeyboardInterrupt: the run was interrupted; its state is saved to be resumed.
        """
        with self._enough_memory():
            watched = self._watched()
            if not self._resumed:
                self._wake(watched)
            last = self._steps(watched)

            def newest() -> Progress:
                return last if last and last.step == self.state.step else self._evaluate()

            progress = ranks.from_first(newest)
            self.state.average()
            return progress

    def _steps(self, watched: Callable[[], Iterable[Batch]]) -> Progress | None:
        """Take the remaining steps, and save the state between steps.

        Returns:
            The progress at the last evaluation, if this rank did one.

        Raises:
            KeyboardInterrupt: the user interrupted the run; the state is saved first.
        """
        recipe, machine, run, state = self.recipe, self.machine, self.run, self.state
        loss = torch.compile(self.objective.loss) if machine.compiled else self.objective.loss
        loss_of = ranks.averaging(self.objective, loss)
        meter, last, first = Meter(state), None, ranks.rank() == 0

        def keep_row() -> None:
            if (row := meter.look()) and first:
                run.log(state.row() | row)
                self.report(state.progress(meter.loss, rate=meter.rate))

        with interruptions() as asked:
            with batches(self.source, state, machine.device) as found:
                drawn, kept = iter(found), time.monotonic()
                while self._continues(asked):
                    state.set_learning_rate()
                    batch = next(drawn)
                    meter.waited()
                    meter.add(self._step(loss_of, batch))
                    evaluating = state.step % recipe.evaluate_every == 0
                    keeping = evaluating or time.monotonic() - kept >= KEEP_EVERY
                    if keeping or state.step % LOG_EVERY == 0:
                        keep_row()
                    if evaluating:
                        if first:
                            last = self._evaluate()
                        if ranks.from_first(lambda: state.fraction() < WAKING_SHARE):
                            self._wake(watched)
                    if keeping:
                        if first:
                            run.save(state.save())
                        kept = time.monotonic()
                        meter.start()
            keep_row()
            ranks.from_first(lambda: run.save(state.save()))
        return last

    def _continues(self, asked: list[int]) -> bool:
        """Whether to take another step: all ranks agree on it; the clock is that of rank 0."""
        state, late = self.state, time.monotonic() >= self.machine.deadline
        seconds = state.seconds if ranks.rank() == 0 else 0.0
        state.seconds, stopped, interrupted = ranks.largest(seconds, late, bool(asked))
        if interrupted and not asked:
            asked.append(signal.SIGINT)
        return state.fraction() < 1 and not stopped and not interrupted

    def _step(
        self, loss_of: Callable[[Batch], Float[Tensor, ""]], batch: Batch
    ) -> Float[Tensor, ""]:
        """Take one optimiser step, unless loss or gradients are not finite, and return the loss.

        Does not wait for the device, which decides whether the step is taken.
        """
        recipe, state = self.recipe, self.state
        with self._autocast():
            loss = loss_of(batch)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(state.parameters, recipe.gradient_clip)
        value = ranks.mean(loss.detach() + 0 * norm)
        # as torch.amp.GradScaler makes a fused optimiser skip a step
        state.optimizer.found_inf = (~value.isfinite()).float()  # type: ignore[attr-defined]
        state.optimizer.step()
        state.optimizer.zero_grad()
        state.step += 1
        decay = min(recipe.ema_decay, (1 + state.step) / (10 + state.step))
        torch._foreach_lerp_(state.ema, [p.detach() for p in state.parameters], 1 - decay)
        return value

    def _evaluate(self) -> Progress:
        """Evaluate the EMA of the weights on the validation crops."""
        state, sleepers = self.state, Sleepers(self.objective)
        with state.averaged(), sleepers.watch():
            found = self._restore(self.validation)
        blurred, sharp = self.validation.blurred, self.validation.sharp
        scores = (psnr(blurred, sharp).mean().item(), psnr(found, sharp).mean().item())
        row = {
            "psnr_blurred": scores[0],
            "psnr_restored": scores[1],
            "dead_share": sleepers.share(),
        }
        self.run.log(state.row() | row)
        self.run.draw()
        self.run.picture(state.step, torch.stack([blurred, found, sharp], dim=1)[:6])
        progress = state.progress(math.nan, scores)
        self.report(progress)
        return progress

    def _restore(self, crops: Batch) -> Float[Tensor, "n 3 h w"]:
        """Restore crops without changing the random state of training."""
        device = self.machine.device
        devices = [] if device.type == "cpu" else [device]
        with torch.random.fork_rng(devices, device_type=device.type), self._autocast():
            torch.manual_seed(0)
            restored = [self.objective.restore(few).float() for few in crops.split(8)]
            return torch.cat(restored).clamp(0, 1)

    def _watched(self) -> Callable[[], Iterable[Batch]]:
        """Crops to look for dormant units on; those of the source are drawn on first use, by each
        rank some of them.

        The validation crops are not enough: a unit may be dormant on them and active on others.
        """
        recipe, seed = self.recipe, seed_of(self.recipe, "watched")

        @cache
        def draw(first: int) -> Batch:
            return self.source.draw(Order(recipe.batch, recipe.crop, seed, first))

        rank, count = ranks.rank(), ranks.count()
        firsts = [number * recipe.batch for number in range(rank, max(WATCHED, count), count)]
        evaluated = self.validation.split(8) if rank == 0 else []
        return lambda: chain(evaluated, map(draw, firsts))

    def _wake(self, watched: Callable[[], Iterable[Batch]]) -> None:
        """Give new weights to units that are dormant on all watched crops, now and in the EMA."""
        state, sleepers = self.state, Sleepers(self.objective)
        if not sleepers.trained:
            return

        def look() -> None:
            for crops in watched():
                self._restore(crops)
                if not sleepers.share():
                    break

        with sleepers.watch():
            look()
            if state.step:  # at step 0 the EMA equals the weights
                with state.averaged():
                    look()
            sleepers.merge()
        averages = dict(zip(state.parameters, state.ema, strict=True))
        sleepers.wake(seed_of(self.recipe, f"waking {state.step}"), averages)

    def _autocast(self) -> torch.autocast:
        machine = self.machine
        return torch.autocast(machine.device.type, torch.bfloat16, enabled=machine.bf16)

    @contextmanager
    def _enough_memory(self) -> Iterator[None]:
        """Raise StepTooLarge if the device's memory is too small for the recipe."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if lacks_memory(error):
                device = str(self.machine.device)
                raise StepTooLarge(device, self.recipe.batch, self.recipe.crop) from error
            raise
