"""What identifies the content of a file: its size, its modification time and a hash."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from blurdm_cli.errors import InputError
from blurdm_cli.files.reading import check_regular, no_input


@dataclass(frozen=True)
class Stamp:
    """Identifies the content of a file."""

    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Stamp":
        """Read and hash the whole file.

        Raises:
            InputError: it cannot be read, or is changed meanwhile.
        """
        check_regular(path)
        try:
            before = path.stat()
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise no_input(path, error) from error
        return cls._unchanged(path, before, digest)

    @classmethod
    def of_bytes(cls, data: bytes, path: Path, before: os.stat_result) -> "Stamp":
        """Identify a file whose bytes were read already.

        Args:
            data: all its bytes.
            path: the file.
            before: its status just before it was read.

        Raises:
            InputError: it was changed meanwhile.
        """
        return cls._unchanged(path, before, hashlib.sha256(data).hexdigest())

    @classmethod
    def _unchanged(cls, path: Path, before: os.stat_result, digest: str) -> "Stamp":
        stamp = cls(before.st_size, before.st_mtime_ns, digest)
        if not stamp.is_of(path):
            raise InputError(
                f"{path} changed while it was being read", hint="Try again when it is complete"
            )
        return stamp

    def is_of(self, path: Path) -> bool:
        """Whether the file still has this size and modification time; it is not read."""
        try:
            status = path.stat()
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.size, self.mtime_ns)

    def fits(self, path: Path) -> bool:
        """Whether the file still has this content; it is read only if its time has changed."""
        return self.is_of(path) or (
            path.is_file()
            and path.stat().st_size == self.size
            and Stamp.of(path).sha256 == self.sha256
        )
