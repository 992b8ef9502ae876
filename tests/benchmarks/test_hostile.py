import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_hostile_files_do_no_harm():
    """A tenth of the corpus that the script makes by itself; it says what it demands."""
    words = (sys.executable, ROOT / "benchmarks" / "hostile.py", "--files", "200")
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "200 files" in done.stdout
