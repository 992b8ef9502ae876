"""A limit of memory that is too low for the program: one line, and exit code 8."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli import TINY

resource = pytest.importorskip("resource")
MAIN = "from blurdm_cli.commands.app import main; main()"


@pytest.mark.skipif(sys.platform != "linux", reason="limits addresses")
def test_a_limit_that_is_too_low_is_said_in_one_line(photo: Path) -> None:
    limit = (200 * 10**6,) * 2
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "deblur", str(photo), *TINY],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit),
    )
    assert done.returncode == 8, done.stderr
    assert "error: The program does not fit in memory" in done.stderr
    assert "Traceback" not in done.stderr
