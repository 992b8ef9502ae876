"""Files short enough to be read at once."""

from pathlib import Path

ROOT = Path(__file__).parents[1]

LIMIT = 300
"""Lines of a file."""


def test_no_file_is_too_long() -> None:
    files = [path for name in ("blurdm_cli", "tests") for path in (ROOT / name).rglob("*.py")]
    lines = {
        path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines())
        for path in files
    }
    assert len(lines) > 300
    assert {name: count for name, count in lines.items() if count > LIMIT} == {}
