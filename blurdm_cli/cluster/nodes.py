"""The machines of a cluster, and whether they reach the files of a run."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from blurdm_cli.errors import BlurdmError, InputError, OutputError, RuntimeMissing
from blurdm_cli.files.atomic import output_error
from blurdm_cli.files.journal import open_folder, remove_if_empty
from blurdm_cli.files.objects import Store
from blurdm_cli.version import __version__

MARK = "nodes"
"""Name of the file in `.blurdm` that every node has to see."""

PATIENCE = 2.0
"""Seconds until a new file is seen on every node of shared storage."""


@dataclass(frozen=True)
class Node:
    """A machine of the cluster."""

    id: str
    name: str
    """Its host name and address."""
    cores: int
    cards: int

    def affinity(self) -> NodeAffinitySchedulingStrategy:
        """Have Ray run something on this node and no other."""
        return NodeAffinitySchedulingStrategy(self.id, soft=False)


def alive_nodes() -> list[Node]:
    """The machines that are part of the cluster now."""
    return [
        Node(
            node["NodeID"],
            f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})",
            int(node["Resources"].get("CPU", 0)),
            int(node["Resources"].get("GPU", 0)),
        )
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
    ]


@dataclass(frozen=True)
class Sight:
    """Files and facts that every node has to see."""

    here: str
    """The folder that relative paths start from."""
    marks: Mapping[str, str]
    """Contents of files by their paths, in the folders of the results."""
    sizes: Mapping[str, int]
    """Sizes of input files by their paths."""
    urls: Sequence[str] = ()
    """Objects that it must be allowed to list."""
    version: str = __version__


@contextmanager
def marked(
    folders: Collection[Path], inputs: Sequence[Path], urls: Sequence[str] = ()
) -> Iterator[Sight]:
    """Put a mark in folders of results while the block runs.

    Args:
        folders: the folders; they are created if missing.
        inputs: files to restore; the first that exists has to be seen.
        urls: objects that have to be reached.

    Raises:
        OutputError: a folder cannot be written to.
    """
    marks: dict[str, str] = {}
    try:
        for folder in folders:
            try:
                path = open_folder(folder) / MARK
                token = marks.setdefault(str(path), secrets.token_hex(16))
                path.write_text(token)
            except OSError as error:
                raise output_error(folder, error) from error
        first = next((path for path in inputs if path.is_file()), None)
        sizes = {str(first): first.stat().st_size} if first else {}
        yield Sight(os.getcwd(), marks, sizes, urls)
    finally:
        for mark in marks:
            with suppress(OSError):
                Path(mark).unlink()
            remove_if_empty(Path(mark).parent)


def find_fault(sight: Sight, name: str) -> BlurdmError | None:
    """Find out on a node what keeps it from working on a run.

    Args:
        sight: what it has to see.
        name: the node's name.
    """
    hint = "Every machine needs inputs and outputs under the same paths, as on a network drive"
    if sight.version != __version__:
        said = f"{name} has blurdm {__version__}, not {sight.version}"
        return RuntimeMissing(said, hint="Install the same version on all machines")
    for mark, token in sight.marks.items():
        path = Path(sight.here, mark)
        folder = path.parent.parent
        if not _holds(path, token):
            return OutputError(f"{name} does not see the folder {folder} of this one", hint=hint)
        if not os.access(folder, os.W_OK):
            return OutputError(f"{name} cannot write to {folder}", hint="Change its permissions")
    for file, size in sight.sizes.items():
        path = Path(sight.here, file)
        if not path.is_file() or path.stat().st_size != size:
            return InputError(f"{name} does not see the input {path}", hint=hint)
    for url in sight.urls:
        try:
            Store(url.partition("://")[0]).find(url)
        except BlurdmError as error:
            return type(error)(f"{name}: {error}", hint=error.hint)
    return None


def _holds(path: Path, token: str) -> bool:
    end = time.monotonic() + PATIENCE
    while True:
        with suppress(OSError):
            if path.read_text() == token:
                return True
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
