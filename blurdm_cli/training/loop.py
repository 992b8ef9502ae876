"""The training loop that all three stages share.

A step queues its work on the GPU and does not wait for it: losses are read every `LOG_EVERY` steps,
and crops are prefetched in a separate thread and stream. On a CPU, which has no spare time, crops
are not prefetched.

A run resumes from its last checkpoint. Checkpoints are written between two steps: at each
evaluation, every `KEEP_EVERY` seconds, and on interruption. After an error, the last one remains.
"""

import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import chain, count

import torch
from jaxtyping import Float
from torch import Tensor, nn

from blurdm_cli.engine.torch_runtime import move
from blurdm_cli.errors import StepTooLarge
from blurdm_cli.machine import lacks_memory
from blurdm_cli.prefetch import Prefetcher
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

DRAWN_AT_ONCE = {"cuda": 8}
"""Steps whose crops are drawn together, since starting work on a GPU has a fixed cost."""

DRAWN_AHEAD = 16
"""Number of batches to prefetch."""


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


def fit(
    objective: Objective,
    source: Source,
    validation: Batch,
    recipe: Recipe,
    machine: Machine,
    run: RunFolder,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Train until the end of the recipe or the deadline, then set the weights to their EMA.

    A step whose loss or gradients are not finite is skipped and counted.

    Returns:
        The progress at the end, with the last evaluation; its fraction is below 1 if the
        deadline came first.

    Raises:
        TrainingError: the run cannot start here, or its losses stay non-finite.
        StepTooLarge: the device's memory is too small for a step.
        KeyboardInterrupt: the run was interrupted; its state is saved to be resumed.
    """
    with _enough_memory(recipe, machine.device):
        move(objective, machine.device)
        saved = run.load(machine.device) if machine.resume else None
        parameters: list[Tensor] = [p for p in objective.parameters() if p.requires_grad]
        state = State.start(objective, parameters, recipe)
        watched = _watched(source, validation, recipe)
        if saved is None:
            _wake(objective, watched, state, recipe, machine)
        else:
            state.load(saved)
        last = _steps(objective, source, validation, watched, state, recipe, machine, run, report)
        if last is None or last.step != state.step:
            last = _evaluate(objective, validation, state, recipe, machine, run, report)
        with torch.no_grad():
            torch._foreach_copy_(parameters, state.ema)
        return last


def _steps(
    objective: Objective,
    source: Source,
    validation: Batch,
    watched: Callable[[], Iterable[Batch]],
    state: State,
    recipe: Recipe,
    machine: Machine,
    run: RunFolder,
    report: Callable[[Progress], None],
) -> Progress | None:
    """Take the remaining steps, and save the state between steps.

    Returns:
        The progress at the last evaluation, if there was one.

    Raises:
        KeyboardInterrupt: the user interrupted the run; the state is saved first.
    """
    loss_of = torch.compile(objective.loss) if machine.compiled else objective.loss
    meter, last = Meter(state, recipe), None

    def keep_row() -> None:
        if row := meter.look():
            run.log(state.row(recipe) | row)
            report(state.progress(recipe, meter.loss, rate=meter.rate))

    with interruptions() as asked:
        with _batches(source, state, recipe, machine.device) as found:
            batches, kept = iter(found), time.monotonic()
            while state.fraction(recipe) < 1 and time.monotonic() < machine.deadline and not asked:
                batch = next(batches)
                meter.waited()
                meter.add(_step(loss_of, state, batch, recipe, machine))
                evaluating = state.step % recipe.evaluate_every == 0
                keeping = evaluating or time.monotonic() - kept >= KEEP_EVERY
                if keeping or state.step % LOG_EVERY == 0:
                    keep_row()
                if evaluating:
                    last = _evaluate(objective, validation, state, recipe, machine, run, report)
                    if state.fraction(recipe) < WAKING_SHARE:
                        _wake(objective, watched, state, recipe, machine)
                if keeping:
                    run.save(state.save())
                    kept = time.monotonic()
                    meter.start()
        keep_row()
        run.save(state.save())
    return last


@contextmanager
def _enough_memory(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Raise StepTooLarge if a device's memory is too small for a recipe."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if lacks_memory(error):
            raise StepTooLarge(str(device), recipe.batch, recipe.crop) from error
        raise


def _watched(source: Source, validation: Batch, recipe: Recipe) -> Callable[[], Iterable[Batch]]:
    """Crops to look for dormant units on; those of the source are drawn on first use.

    The validation crops are not enough: a unit may be dormant on them and active on others.
    """
    seed, firsts = seed_of(recipe, "watched"), range(0, WATCHED * recipe.batch, recipe.batch)

    @cache
    def draw(first: int) -> Batch:
        return source.draw(Order(recipe.batch, recipe.crop, seed, first))

    return lambda: chain(validation.split(8), map(draw, firsts))


def _wake(
    objective: Objective,
    watched: Callable[[], Iterable[Batch]],
    state: State,
    recipe: Recipe,
    machine: Machine,
) -> None:
    """Give new weights to units that are dormant on all watched crops, now and in the EMA."""
    sleepers = Sleepers(objective)
    if not sleepers.trained:
        return

    def look() -> None:
        for crops in watched():
            _restore(objective, crops, machine)
            if not sleepers.share():
                break

    with sleepers.watch():
        look()
        if state.step:  # at step 0 the EMA equals the weights
            with _averaged(state.parameters, state.ema):
                look()
    averages = dict(zip(state.parameters, state.ema, strict=True))
    sleepers.wake(seed_of(recipe, f"waking {state.step}"), averages)


def _batches(
    source: Source, state: State, recipe: Recipe, device: torch.device
) -> AbstractContextManager[Iterable[Batch]]:
    """The next batches; prefetched on a GPU."""
    draws = _draws(source, state, recipe, device)
    return Prefetcher(draws, DRAWN_AHEAD) if device.type == "cuda" else closing(draws)


def _draws(source: Source, state: State, recipe: Recipe, device: torch.device) -> Generator[Batch]:
    """The next batches, on the device and ready to be used there."""
    stream = torch.cuda.Stream(device) if device.type == "cuda" else None
    training = torch.cuda.current_stream(device) if stream else None
    together = DRAWN_AT_ONCE.get(device.type, 1)
    begin = state.step
    for first in count(begin // together * together, together):
        with torch.cuda.stream(stream):
            drawn = source.draw(state.order(recipe, first, together))
        if stream and training:
            stream.synchronize()
            for tensor in drawn.tensors():  # keep it allocated until training is done with it
                tensor.record_stream(training)
        yield from drawn.split(recipe.batch)[max(begin - first, 0) :]


def _step(
    loss_of: Callable[[Batch], Float[Tensor, ""]],
    state: State,
    batch: Batch,
    recipe: Recipe,
    machine: Machine,
) -> Float[Tensor, ""]:
    """Take one optimiser step, unless loss or gradients are not finite, and return the loss.

    Does not wait for the device, which decides whether the step is taken.
    """
    for group in state.optimizer.param_groups:
        group["lr"] = state.learning_rate(recipe) * group["share"]
    with torch.autocast(machine.device.type, torch.bfloat16, enabled=machine.bf16):
        loss = loss_of(batch)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(state.parameters, recipe.gradient_clip)
    value = loss.detach() + 0 * norm
    # as torch.amp.GradScaler makes a fused optimiser skip a step
    state.optimizer.found_inf = (~value.isfinite()).float()  # type: ignore[attr-defined]
    state.optimizer.step()
    state.optimizer.zero_grad()
    state.step += 1
    decay = min(recipe.ema_decay, (1 + state.step) / (10 + state.step))
    torch._foreach_lerp_(state.ema, [p.detach() for p in state.parameters], 1 - decay)
    return value


@contextmanager
def _averaged(parameters: list[Tensor], ema: list[Tensor]) -> Iterator[None]:
    """Run a block with the parameters replaced by their EMA."""
    kept = [p.detach().clone() for p in parameters]
    with torch.no_grad():
        torch._foreach_copy_(parameters, ema)
        try:
            yield
        finally:
            torch._foreach_copy_(parameters, kept)


def _restore(objective: Objective, crops: Batch, machine: Machine) -> Float[Tensor, "n 3 h w"]:
    """Restore crops as an evaluation does, without changing the random state of training."""
    device = machine.device
    with (
        torch.random.fork_rng([] if device.type == "cpu" else [device], device_type=device.type),
        torch.autocast(machine.device.type, torch.bfloat16, enabled=machine.bf16),
    ):
        torch.manual_seed(0)
        return torch.cat([objective.restore(few).float().clamp(0, 1) for few in crops.split(8)])


def _evaluate(
    objective: Objective,
    validation: Batch,
    state: State,
    recipe: Recipe,
    machine: Machine,
    run: RunFolder,
    report: Callable[[Progress], None],
) -> Progress:
    """Evaluate the EMA of the weights on the validation crops."""
    sleepers = Sleepers(objective)
    with _averaged(state.parameters, state.ema), sleepers.watch():
        found = _restore(objective, validation, machine)
    blurred, sharp = validation.blurred, validation.sharp
    scores = (psnr(blurred, sharp).mean().item(), psnr(found, sharp).mean().item())
    row = {"psnr_blurred": scores[0], "psnr_restored": scores[1], "dead_share": sleepers.share()}
    run.log(state.row(recipe) | row)
    run.picture(state.step, torch.stack([blurred, found, sharp], dim=1)[:6])
    progress = state.progress(recipe, math.nan, scores)
    report(progress)
    return progress
