import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HANGS = """
import sys, threading
from blurdm_cli.commands import app
from blurdm_cli.photo import photo as image

def hang(*_):
    print("reading", flush=True)
    # not to be interrupted, as a codec in C is not
    thread = threading.Thread(target=threading.Event().wait)
    thread.start()
    thread.join()

image._decode = hang
app.main()
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_a_reader_that_never_returns_does_not_keep_the_program(
    tmp_path: Path, asked: signal.Signals
) -> None:
    example = Path(__file__).parents[2] / "examples" / "market.jpg"
    words = ["deblur", str(example), "-o", str(tmp_path / "out.jpg"), "--model", "blurdm-tiny"]
    with subprocess.Popen(
        [sys.executable, "-c", HANGS, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "reading\n"
            begin = time.monotonic()
            process.send_signal(asked)
            assert process.wait(timeout=20) == 130
        finally:
            process.kill()
    assert time.monotonic() - begin < 2  # of which the machine may take one
    assert not list(tmp_path.iterdir())
