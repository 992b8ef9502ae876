import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from blurdm_cli.machine import tune_allocator

if sys.argv[1] == "kept":
    tune_allocator()
np.ones(8_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    np.ones(8_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is told anything")
def test_freed_memory_is_used_again_without_new_pages() -> None:
    def faults(how: str) -> int:
        run = [sys.executable, "-c", FAULTS, how]
        return int(subprocess.run(run, check=True, capture_output=True, text=True).stdout)

    assert faults("kept") < 10
    assert faults("plain") > 100
