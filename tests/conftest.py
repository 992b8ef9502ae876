"""What all tests share."""

import os

worker = os.environ.get("PYTEST_XDIST_WORKER")
if worker and hasattr(os, "sched_setaffinity"):  # each has a core: threads of all would collide
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})

import torch  # noqa: E402

import tests.typechecker  # noqa: E402, F401  # what pyproject.toml names, before it is used

torch.set_num_threads(1)  # networks here are tiny: threads on a busy machine cost, not help
