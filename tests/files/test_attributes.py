import os
import stat
import sys
from pathlib import Path

import pytest

from blurdm_cli.files.attributes import keep_attributes, restrict_permissions

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A file that is replaced, and the result."""
    source, part = tmp_path / "photo.jpg", tmp_path / ".photo.jpg.part"
    source.write_bytes(b"before")
    part.write_bytes(b"after")
    return source, part


@POSIX
def test_owner_permissions_and_times_are_kept(files: tuple[Path, Path]) -> None:
    source, part = files
    source.chmod(0o640)
    os.utime(source, ns=(1_500_000_000_123_456_789, 1_400_000_000_987_654_321))
    owner = (12345, 54321) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(source, *owner)
    assert keep_attributes(source, part) == []
    status = part.stat()
    assert stat.S_IMODE(status.st_mode) == 0o640
    assert status.st_mtime_ns == 1_400_000_000_987_654_321
    assert (status.st_uid, status.st_gid) == owner
    assert part.read_bytes() == b"after"


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="Linux alone has these calls")
def test_extended_attributes_are_kept(files: tuple[Path, Path]) -> None:
    source, part = files
    try:
        os.setxattr(source, "user.rating", b"5")
    except OSError:
        assert keep_attributes(source, part) == []  # this file system has none
        return
    assert keep_attributes(source, part) == []
    assert os.getxattr(part, "user.rating") == b"5"


@POSIX
def test_what_cannot_be_kept_is_named(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "utime", refuse)
    assert keep_attributes(*files) == ["its times cannot be kept"]


@POSIX
@pytest.mark.parametrize(
    ("of_source", "of_part", "expected"),
    [(0o600, 0o644, 0o600), (0o644, 0o644, 0o644), (0o777, 0o644, 0o644), (0o400, 0o644, 0o600)],
)
def test_a_result_is_no_more_open_than_its_source(
    files: tuple[Path, Path], of_source: int, of_part: int, expected: int
) -> None:
    source, part = files
    source.chmod(of_source)
    part.chmod(of_part)
    restrict_permissions(source, part)
    assert stat.S_IMODE(part.stat().st_mode) == expected
