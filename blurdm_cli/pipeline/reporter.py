"""Reporter interface of a run, for the command line, tests and other programs."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, runtime_checkable

from blurdm_cli.pipeline.outcome import Outcome

Advance = Callable[[float, str], None]
"""Called with the fraction done and a note."""


@runtime_checkable
class Reporter(Protocol):
    """Receives the messages of a run as they occur. All calls come from one thread."""

    def say(self, message: str) -> None:
        """Report how the run is going."""

    def warn(self, message: str) -> None:
        """Report what is lost or looks wrong."""

    def progress(self, what: str) -> AbstractContextManager[Advance]:
        """Show progress while the block runs."""

    def finished(self, outcome: Outcome, facts: Mapping[str, Any]) -> None:
        """Report a file that is done, skipped, planned or failed.

        Args:
            outcome: outcome of the file.
            facts: model, runtime, device, precision, tile and expert of the file.
        """

    def summary(self, outcomes: Sequence[Outcome], seconds: float) -> None:
        """Report the whole run."""


class Silent:
    """A reporter that reports nothing."""

    def say(self, message: str) -> None: ...

    def warn(self, message: str) -> None: ...

    def progress(self, what: str) -> AbstractContextManager[Advance]:
        return nullcontext(lambda done, note: None)

    def finished(self, outcome: Outcome, facts: Mapping[str, Any]) -> None: ...

    def summary(self, outcomes: Sequence[Outcome], seconds: float) -> None: ...
