"""The batches of a run: drawn in order, on a GPU ahead of use in a thread and stream of their own.

A CPU has no spare time: there, batches are drawn when they are needed.
"""

from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager, closing
from itertools import count

import torch

from blurdm_cli.prefetch import Prefetcher
from blurdm_cli.training import ranks
from blurdm_cli.training.pairs import Batch, Source
from blurdm_cli.training.state import State

DRAWN_AT_ONCE = {"cuda": 8}
"""Steps whose crops are drawn together, since starting work on a GPU has a fixed cost."""

DRAWN_AHEAD = 16
"""Number of batches to prefetch."""


def batches(
    source: Source, state: State, device: torch.device
) -> AbstractContextManager[Iterable[Batch]]:
    """This rank's batches from the state's step on; prefetched on a GPU."""
    drawn = _draw(source, state, device)
    return Prefetcher(drawn, DRAWN_AHEAD) if device.type == "cuda" else closing(drawn)


def _draw(source: Source, state: State, device: torch.device) -> Generator[Batch]:
    """Draw the batches, on the device and ready to be used there."""
    stream = torch.cuda.Stream(device) if device.type == "cuda" else None
    training = torch.cuda.current_stream(device) if stream else None
    together = DRAWN_AT_ONCE.get(device.type, 1)
    begin, few = state.step, ranks.share_of(state.recipe.batch)
    for first in count(begin // together * together, together):
        with torch.cuda.stream(stream):
            drawn = source.draw(state.order(first, together))
        if stream and training:
            stream.synchronize()
            for tensor in drawn.tensors():  # keep it allocated until training is done with it
                tensor.record_stream(training)
        yield from drawn.split(few)[max(begin - first, 0) :]
