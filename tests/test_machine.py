import subprocess
import sys

import pytest

from blurdm_cli import machine

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


def test_a_process_can_be_limited_to_fewer_cores_but_gets_no_more_than_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "_most_cores", None)
    whole = machine.available_cores()
    machine.limit_cores(1)
    assert machine.available_cores() == 1
    machine.limit_cores(whole + 5)
    assert machine.available_cores() == whole
