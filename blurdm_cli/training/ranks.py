"""The processes of a training run, one per card, that torchrun starts: ranks 0 to N - 1.

A step's batch is that of the recipe, whatever the number of ranks: rank r takes the crops from
r * batch / N up to (r + 1) * batch / N (`shares`), and gradients are averaged. Every rank draws
the random numbers of the whole batch, and uses those of its share (`noise`). N ranks thus
learn what one process does, up to rounding, and a run can be resumed with another N. The
exception is dropout: it drops the same channels in the share of each rank.

Rank 0 alone reads and writes the run's folder, evaluates and prints; the others wait for it.
Without torchrun there is one rank, and nothing here communicates.
"""

import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from datetime import timedelta
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from blurdm_cli.errors import BlurdmError, TrainingError, UsageError
from blurdm_cli.training.pairs import Batch
from blurdm_cli.training.recipe import Objective

PATIENCE = timedelta(days=365)
"""Time that ranks wait for each other: rank 0 may read or evaluate for hours. A rank that ends
is noticed at once."""

FAILED = "failed"
"""Key in the ranks' store: the first rank that failed, and its exit code."""

_JOINS = itertools.count()
"""Numbers the times that this process joins, each with keys of its own in the store."""

Value = TypeVar("Value")

LossOf = Callable[[Batch], Tensor]
"""The loss of a batch."""


def count() -> int:
    """Number of ranks."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Number of this process among the ranks."""
    return dist.get_rank() if dist.is_initialized() else 0


@contextmanager
def joined() -> Iterator[None]:
    """Join the ranks that torchrun started, for a block of code; ranks above 0 print nothing.

    If a rank fails, all end with its exit code, and only its error leaves the block as it is.

    Raises:
        TrainingError: another rank ended without an error, for example killed by the system.
        SystemExit: another rank has failed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    both = torch.cuda.is_available() and dist.is_nccl_available()
    shared, number, size = next(rendezvous("env://"))
    store = PrefixStore(f"blurdm {next(_JOINS)}", shared)
    backend = "cpu:gloo,cuda:nccl" if both else "gloo"
    dist.init_process_group(backend, store=store, rank=number, world_size=size, timeout=PATIENCE)
    try:
        with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere if number else sys.stderr):
            yield
    except SystemExit:  # the end of a command, which all ranks reach
        dist.destroy_process_group()
        raise
    except (Exception, KeyboardInterrupt) as error:
        code = _claim(store, number, error)
        # torchrun ends the others once one has ended: that must not hide the message
        signal.signal(signal.SIGTERM, signal.SIG_DFL if code is not None else signal.SIG_IGN)
        if code is not None:
            raise SystemExit(code) from None
        if _is_loss(error):
            raise TrainingError(
                "Another process of the run has ended",
                hint="Its messages, or the system's log, say why; --resume continues the run",
            ) from error
        raise
    dist.destroy_process_group()


def device_of(name: str) -> str:
    """The device of this process, where each has its own card.

    Args:
        name: the device that was asked for, or "auto".

    Raises:
        UsageError: the name is that of one card, or there are fewer cards than processes.
    """
    if count() == 1 or name == "cpu":
        return name
    if name == "auto" and not torch.cuda.is_available():
        return "cpu"
    if name not in ("auto", "cuda"):
        raise UsageError(
            f"--device {name} is one device for {count()} processes",
            hint="--device cuda gives each its own card; CUDA_VISIBLE_DEVICES chooses the cards",
        )
    cards, here = torch.cuda.device_count(), beside()
    if here > cards > 0:
        raise UsageError(
            f"There are {here} processes for {cards} cards",
            hint=f"torchrun --nproc-per-node {cards}",
        )
    return f"cuda:{os.environ['LOCAL_RANK']}"


def beside() -> int:
    """Number of ranks on this machine."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if count() > 1 else 1


def share_of(whole: int) -> int:
    """This rank's share of a number of crops.

    Raises:
        UsageError: the number cannot be divided among the ranks.
    """
    if whole % count():
        nearest = max(round(whole / count()), 1) * count()
        raise UsageError(
            f"A batch of {whole} crops cannot be divided among {count()} processes",
            hint=f"Choose a multiple, such as --batch {nearest}",
        )
    return whole // count()


def shares(batch: int, steps: int) -> tuple[int, ...] | None:
    """Numbers of this rank's crops in some successive batches; None if there is one rank."""
    if count() == 1:
        return None
    few = share_of(batch)
    firsts = (step * batch + rank() * few for step in range(steps))
    return tuple(number for first in firsts for number in range(first, first + few))


def noise(shape: Sequence[int], device: torch.device) -> Tensor:
    """Normal noise for this rank's crops: its share of that of the whole batch."""
    few = shape[0]
    whole = torch.randn(few * count(), *shape[1:], device=device)
    return whole[rank() * few : (rank() + 1) * few]


def averaging(objective: Objective, loss_of: LossOf) -> LossOf:
    """The loss of an objective, whose gradients become the mean among all ranks."""
    if count() == 1:
        return loss_of
    # crops without a known motion leave the modules that learn from it unused
    return DistributedDataParallel(_Loss(objective, loss_of), find_unused_parameters=True)


class _Loss(nn.Module):
    """A loss as a module, which DistributedDataParallel needs."""

    def __init__(self, objective: Objective, loss_of: LossOf) -> None:
        super().__init__()
        self.objective, self._loss_of = objective, loss_of
        device = next(objective.parameters()).device
        self.unused = nn.Parameter(torch.zeros(1, device=device))  # without any, PyTorch warns

    def forward(self, batch: Batch) -> Tensor:
        return self._loss_of(batch)


def from_first(make: Callable[[], Value]) -> Value:
    """Call a function on rank 0, and return its result on all ranks; the others wait for it."""
    result = [make() if rank() == 0 else None]
    if count() > 1:
        dist.broadcast_object_list(result)
    return cast(Value, result[0])


def copy_from_first(networks: nn.Module) -> None:
    """Set the networks of all ranks to those of rank 0."""
    if count() > 1:
        for value in networks.state_dict().values():
            whole = value.contiguous()
            dist.broadcast(whole, 0)
            value.copy_(whole)


def largest(*values: float) -> list[float]:
    """The largest of each value among all ranks."""
    found = torch.tensor(values, dtype=torch.float64)
    if count() > 1:
        dist.all_reduce(found, dist.ReduceOp.MAX)
    return found.tolist()


def mean(value: Tensor) -> Tensor:
    """The mean among all ranks. On a GPU, does not wait for it."""
    if count() > 1:
        dist.all_reduce(value)
        value /= count()
    return value


def merge(flags: Iterable[Tensor]) -> None:
    """Set each flag to whether it is set on any rank."""
    if count() > 1:
        for flag in flags:
            numbers = flag.byte()
            dist.all_reduce(numbers, dist.ReduceOp.MAX)
            flag.copy_(numbers)


def _claim(store: Store, number: int, error: BaseException) -> int | None:
    """Claim to be the first rank that failed; return the exit code of the first, if not this."""
    code = 130 if isinstance(error, KeyboardInterrupt) else getattr(error, "exit_code", 1)
    claim = f"{number} {code}"
    try:
        first = store.compare_set(FAILED, "", claim).decode()
    except RuntimeError:  # the store has ended with the rank that held it
        return 1
    return None if first == claim else int(first.split()[1])


def _is_loss(error: BaseException) -> bool:
    """Whether an error means that another rank has ended."""
    lost = isinstance(error, dist.DistError) or "gloo" in str(error)
    return lost and not isinstance(error, BlurdmError)
