"""What all tests share."""

import torch

import tests.typechecker  # noqa: F401  # what pyproject.toml names, before it is used

torch.set_num_threads(1)  # networks here are tiny: threads on a busy machine cost, not help
