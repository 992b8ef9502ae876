import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_hostile_files_do_no_harm():
    """A part of the corpus that the script makes by itself; it says what it demands."""
    words = (
        sys.executable,
        ROOT / "benchmarks" / "hostile.py",
        "--files",
        "250",
        "--videos",
        "250",
    )
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "traceback" not in done.stdout.lower()
    assert int(done.stdout.split()[0]) > 480
