"""The training loop that all three stages share.

A step gives a GPU its work and does not wait for it: losses are looked at every `LOG_EVERY` steps,
and crops are drawn ahead in a thread and a stream of their own. A processor has no time to spare.

A run is resumed where it was kept: between two steps, at each evaluation, every `KEEP_EVERY`
seconds and where it is interrupted. After an error, the last state that was kept stands.
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

from blurdm_cli.engine.torch_runtime import is_out_of_memory, move
from blurdm_cli.errors import StepTooLarge
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
"""Steps between two rows of losses.csv, at most."""

KEEP_EVERY = 300.0
"""Seconds between two checkpoints, at most, and a step more."""

WATCHED = 32
"""Batches beside the validation's that a unit must sleep on to be woken."""

WAKING_SHARE = 0.8
"""Of a run, in which units that fell asleep are woken at evaluations: later, too little is left to
learn in."""

DRAWN_AT_ONCE = {"cuda": 8}
"""Steps whose crops are drawn together: a GPU is slow to start, whatever there is to do."""

DRAWN_AHEAD = 16
"""Batches that wait to be learnt from."""


@dataclass(frozen=True)
class Machine:
    """Where and how to compute; what is learnt differs by rounding, most of all in bf16."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    bf16: bool = False
    """Compute in bfloat16 what autocast takes as safe."""
    compiled: bool = False
    """Let PyTorch compile the loss: half a minute to begin with, faster steps then."""
    deadline: float = math.inf
    """When `time.monotonic()` reaches this, write a checkpoint and stop, to be resumed."""
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
    """Train until the recipe or the deadline ends it; then the weights are their EMA's.

    A step whose loss or gradients are not finite is skipped and counted.

    Returns:
        How it went, with the last evaluation; its fraction is below 1 where the
        deadline came first.

    Raises:
        TrainingError: the run cannot start here, or goes on giving nothing finite.
        StepTooLarge: the device's memory is too small for a step.
        KeyboardInterrupt: the run was interrupted; it is kept to be resumed.
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
    """Take the steps that are missing, and keep the state between two of them.

    Returns:
        How the last evaluation on the way went, if there was one.

    Raises:
        KeyboardInterrupt: somebody asked for it; the state is kept first.
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
    """Say in the user's words that a device's memory is too small for a recipe."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise StepTooLarge(str(device), recipe.batch, recipe.crop) from error
        raise


def _watched(source: Source, validation: Batch, recipe: Recipe) -> Callable[[], Iterable[Batch]]:
    """Crops to look for sleeping units on; the source's are drawn when they are first asked for.

    On the validation's alone a unit may sleep, and work on others.
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
    """Give new weights to the units that sleep on all crops watched, now and in the EMA."""
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
        if state.step:  # the EMA begins where the weights do
            with _averaged(state.parameters, state.ema):
                look()
    averages = dict(zip(state.parameters, state.ema, strict=True))
    sleepers.wake(seed_of(recipe, f"waking {state.step}"), averages)


def _batches(
    source: Source, state: State, recipe: Recipe, device: torch.device
) -> AbstractContextManager[Iterable[Batch]]:
    """The batches that follow."""
    draws = _draws(source, state, recipe, device)
    return Prefetcher(draws, DRAWN_AHEAD) if device.type == "cuda" else closing(draws)


def _draws(source: Source, state: State, recipe: Recipe, device: torch.device) -> Generator[Batch]:
    """The batches that follow, on the device and ready to be used there."""
    stream = torch.cuda.Stream(device) if device.type == "cuda" else None
    training = torch.cuda.current_stream(device) if stream else None
    together = DRAWN_AT_ONCE.get(device.type, 1)
    begin = state.step
    for first in count(begin // together * together, together):
        with torch.cuda.stream(stream):
            drawn = source.draw(state.order(recipe, first, together))
        if stream and training:
            stream.synchronize()
            for tensor in drawn.tensors():  # it is not free before training is done with it
                tensor.record_stream(training)
        yield from drawn.split(recipe.batch)[max(begin - first, 0) :]


def _step(
    loss_of: Callable[[Batch], Float[Tensor, ""]],
    state: State,
    batch: Batch,
    recipe: Recipe,
    machine: Machine,
) -> Float[Tensor, ""]:
    """Take one optimiser step, unless something is not finite, and return the loss.

    Without waiting for the device: whether the step is taken is decided there.
    """
    for group in state.optimizer.param_groups:
        group["lr"] = state.learning_rate(recipe) * group["share"]
    with torch.autocast(machine.device.type, torch.bfloat16, enabled=machine.bf16):
        loss = loss_of(batch)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(state.parameters, recipe.gradient_clip)
    value = loss.detach() + 0 * norm
    # as torch.amp.GradScaler tells a fused optimiser to leave a step out
    state.optimizer.found_inf = (~value.isfinite()).float()  # type: ignore[attr-defined]
    state.optimizer.step()
    state.optimizer.zero_grad()
    state.step += 1
    decay = min(recipe.ema_decay, (1 + state.step) / (10 + state.step))
    torch._foreach_lerp_(state.ema, [p.detach() for p in state.parameters], 1 - decay)
    return value


@contextmanager
def _averaged(parameters: list[Tensor], ema: list[Tensor]) -> Iterator[None]:
    """Run a block with the parameters' EMA in their place."""
    kept = [p.detach().clone() for p in parameters]
    with torch.no_grad():
        torch._foreach_copy_(parameters, ema)
        try:
            yield
        finally:
            torch._foreach_copy_(parameters, kept)


def _restore(objective: Objective, crops: Batch, machine: Machine) -> Float[Tensor, "n 3 h w"]:
    """Restore crops as an evaluation does; training's random state is kept."""
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
    """Measure the EMA's weights on the validation crops."""
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
