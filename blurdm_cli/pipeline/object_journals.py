"""Journals of runs in which inputs or results are objects in a bucket."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from blurdm_cli.files.atomic import Seal
from blurdm_cli.files.journal import Journal
from blurdm_cli.files.stamp import Stamp
from blurdm_cli.pipeline.stand_ins import CONNECTIONS, StandIns


class FetchedJournal(Journal):
    """The journal of a folder on this machine; inputs may be objects, recorded by their URLs."""

    def __init__(self, home: Path, settings: str, objects: StandIns) -> None:
        super().__init__(home, settings)
        self._objects = objects

    def _name(self, path: Path) -> str:
        return self._objects.url_of(path) or super()._name(path)

    def _fits(self, stamp: Any, path: Path) -> bool:
        if self._objects.url_of(path) is None:
            return super()._fits(stamp, path)
        known = self._objects.object_at(path)
        now = known and (known.size, known.mtime_ns)
        return isinstance(stamp, dict) and now == (stamp.get("size"), stamp.get("mtime_ns"))


class BucketJournal(FetchedJournal):
    """The journal of results in a bucket: each object holds its own entry, as metadata.

    So the entry is written together with the result, and the next run may be on another machine.
    """

    def __init__(
        self, home: Path, settings: str, objects: StandIns, outputs: Iterable[Path] = ()
    ) -> None:
        """Read the entries of earlier runs.

        Args:
            home: the private folder.
            settings: identifies everything that determines the result, except the input.
            objects: the objects of the run.
            outputs: results whose entries are read.
        """
        super().__init__(home, settings, objects)
        there = [path for path in outputs if objects.object_at(path)]
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            self._last = dict(zip(map(self._name, there), pool.map(self._read, there), strict=True))

    def refresh(self, output: Path) -> None:
        """Read the entry of one output again, as a worker may have sent it."""
        self._objects.look_again(output)
        there = self._objects.object_at(output)
        self._last[self._name(output)] = self._read(output) if there else {}

    def begin(self, source: Path, output: Path, stamp: Stamp | None = None) -> Seal:
        """Prepare to send the output together with its entry, when it is finished."""
        facts: dict[str, Any] = {"input": self._name(source), "settings": self.settings}
        if stamp:
            facts["source"] = asdict(stamp)
        url = self._objects.url_of(output)
        assert url is not None

        def send(part: Path) -> None:
            self._objects.store_of(url).send(part, url, facts, self._objects.object_at(output))

        return send

    def end(self, source: Path, output: Path, stamp: Stamp) -> None:
        """Remove the local copy of the output, which is sent."""
        with suppress(OSError):
            output.unlink()

    def _read(self, output: Path) -> dict[str, Any]:
        """The entry of an existing object; empty if no run wrote it."""
        known = self._objects.object_at(output)
        assert known is not None
        facts = self._objects.store_of(known.url).facts(known.url)
        if not facts:
            return {}
        result = {"size": known.size, "mtime_ns": known.mtime_ns}
        return {**facts, "output": known.url, "status": "done", "result": result}

    def _name(self, path: Path) -> str:
        """The name of an input or output: a hash, as metadata is short and ASCII."""
        name = self._objects.url_of(path) or os.path.abspath(path)
        return hashlib.sha256(os.fsencode(name)).hexdigest()
