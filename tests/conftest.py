"""What all tests share."""

import torch

torch.set_num_threads(1)  # networks here are tiny: threads on a busy machine cost, not help
