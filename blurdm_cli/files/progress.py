"""Records what identifies the work on a result, and its progress, so that a run can go on."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from blurdm_cli.files.atomic import atomic_output
from blurdm_cli.spec import parse_json

PROGRESS = "progress.json"


class Progress:
    """The record in the folder of everything that is kept for resuming.

    Another source, or other settings, are another work: then nothing is done.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        """Read what an earlier run recorded.

        Args:
            folder: the folder, which need not exist.
            manifest: plain values that identify everything that determines the result.
        """
        self._path = folder / PROGRESS
        self._manifest = parse_json(json.dumps(dict(manifest)))  # lists, where tuples were given
        self.is_begun = False
        """Whether an earlier run began this work."""
        self.done = 0
        """Number of finished parts."""
        self.state: dict[str, Any] = {}
        """State that the next part needs from those before it."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            saved = parse_json(self._path.read_text())
            if saved["manifest"] == self._manifest:
                self.done, self.state = int(saved["done"]), dict(saved["state"])
                self.is_begun = True

    def keep(self, done: int, state: Mapping[str, Any]) -> None:
        """Record how far the work came.

        Raises:
            OutputError: the record cannot be written.
        """
        self.is_begun, self.done, self.state = True, done, dict(state)
        saved = {"manifest": self._manifest, "done": done, "state": self.state}
        with atomic_output(self._path) as part:
            part.write_text(json.dumps(saved))
