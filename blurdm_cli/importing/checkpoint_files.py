"""Read the tensors of a checkpoint.

Checkpoints are not trusted: only safetensors files and pickles that hold nothing but tensors are
read.
"""

import pickle
import re
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from blurdm_cli.errors import ModelError


def read(path: Path) -> Mapping[str, Any]:
    """Read a checkpoint without running any code in it.

    Raises:
        ModelError: it is missing, not a checkpoint, or a pickle of more than tensors.
    """
    try:
        with path.open("rb") as file:
            head = file.read(9)
        if head[8:9] == b"{":
            from safetensors.torch import load_file

            return load_file(path)
        with torch.serialization.safe_globals([Namespace]):  # the options of a training script
            found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} is not a file of tensors only; it was not opened, as it could run code",
            hint="If you trust it, save its state dict: torch.save(model.state_dict(), FILE)",
        ) from error
    except Exception as error:  # what PyTorch and safetensors raise for damaged files
        raise ModelError(
            f"{path} is not a checkpoint, or is damaged",
            hint="A checkpoint is a PyTorch file (.pth, .pt, .pkl) or a safetensors file",
        ) from error
    if not isinstance(found, Mapping):
        raise ModelError(f"{path} holds no named tensors")
    return found


def unwrap(found: Mapping[str, Any], wrappers: Sequence[str], path: Path) -> dict[str, Tensor]:
    """Extract the state dict, without the prefix that parallel training adds to its names.

    Raises:
        ModelError: there is none.
    """
    inner = next((found[key] for key in wrappers if isinstance(found.get(key), Mapping)), found)
    state = {
        re.sub(r"^(module\.)+", "", name): value
        for name, value in inner.items()
        if isinstance(value, Tensor)
    }
    if not state:
        keys = ", ".join(map(str, list(found)[:5]))
        raise ModelError(
            f"{path} holds no weights; its keys are {keys}",
            hint=f"Weights are expected at the top level or under {', '.join(wrappers)}",
        )
    return state
