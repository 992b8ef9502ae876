"""Training and validation data of a run: folders of photos, read completely before it starts."""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from blurdm_cli.errors import BlurdmError, InputError
from blurdm_cli.files.inputs import Search, find_files
from blurdm_cli.training import pairs
from blurdm_cli.training.candidate_crops import CandidateCrops, candidates_of
from blurdm_cli.training.layouts import BLURRED, holds_pairs, read_rgb
from blurdm_cli.training.pairs import Batch, Order, Source
from blurdm_cli.training.photo_crops import CELL, PhotoCrops
from blurdm_cli.training.synthesis import Synthesis

VALIDATION_CROP = 256
"""Side, in pixels, of the centre crops of pairs that are evaluated on."""

DRAWN_CROP = 128
"""Side, in pixels, of the training crops that are evaluated on if there are no such pairs."""


@dataclass(frozen=True)
class Data:
    """Training and validation data of a run."""

    source: Source
    validation: Batch
    described: list[str]
    """One line per training folder, as shown in the model card."""
    evaluated: str
    """Description of the validation crops."""
    makes_blur: bool
    """Whether there are sharp photos, whose synthetic blur has known partial exposures."""
    left_out: list[str]
    """One line for each sharp photo that is not used."""


def read_data(
    paths: Sequence[Path],
    crops: Collection[int],
    device: torch.device,
    *,
    frames: Path | None = None,
    frames_share: float = 0.0,
    val: Path | None = None,
    skip: Path | None = None,
    candidates: Sequence[Path] = (),
) -> Data:
    """Read all training photos, and the validation crops.

    Args:
        paths: folders of sharp photos or of pairs, and RealBlur's lists.
        crops: sides of all crops that the run will ask for, in pixels.
        device: where to keep the photos.
        frames: a folder of consecutive sharp frames.
        frames_share: the frames' share of all crops.
        val: pairs to evaluate on; None for a fixed set of crops of the training photos.
        skip: a folder to skip: the run's own.
        candidates: folders of prepared crops to train on instead of photos.

    Raises:
        InputError: a folder is empty, or holds something that cannot be read, or a pair or
            a frame that is smaller than a crop.
        TrainingError: all sharp photos are too small, or have no detail.
    """
    if candidates:
        prepared = CandidateCrops(candidates, device)
        names = ", ".join(folder.absolute().name for folder in candidates)
        described = [f"{names}: {prepared.count} crops with candidates"]
        validation, evaluated = _validation(prepared, min(crops), device, val, candidates=True)
        return Data(prepared, validation, described, evaluated, False, [])
    photos, pair_crops, described, left_out = [], [], [], []
    sizes: dict[str, torch.Size] = {}
    for path in paths:
        name = path.absolute().name
        if holds_pairs(path):
            found = pairs.read_pairs(path)
            pair_crops += [(first.to(device), last.to(device)) for first, last in found.values()]
            sizes |= {f"{pair} in {path}": sharp.shape for pair, (_, sharp) in found.items()}
            described.append(f"{name}: {len(found)} pairs")
        else:
            read, poor = read_sharp(path, skip)
            photos += read
            left_out += poor
            described.append(f"{name}: {len(read)} sharp photos, blurred by synthesis")
    sources: list[tuple[float, Source]] = []
    if photos:
        photo_crops = PhotoCrops(photos, Synthesis(), device)
        if few := photo_crops.too_small(max(crops)):
            left_out.append(f"photos too small for crops of {max(crops)} pixels: {few}")
        sources.append((len(photos), photo_crops))
    if pair_crops:
        sources.append((len(pair_crops), pairs.PairCrops(pair_crops)))
    if frames:
        read_frames = pairs.read_frames(frames, device)
        sizes[f"A frame in {frames}"] = read_frames.shape
        weight = sum(share for share, _ in sources) * frames_share / (1 - frames_share)
        sources.append((weight, pairs.FrameCrops(read_frames)))
        described.append(f"{frames.name}: averages of high-speed frames, {frames_share * 100:g}%")
    _check_sizes(sizes, max(crops))
    source = sources[0][1] if len(sources) == 1 else pairs.Mixture(sources)
    validation, evaluated = _validation(source, min(crops), device, val)
    return Data(source, validation, described, evaluated, bool(photos), left_out)


def _validation(
    source: Source, crop: int, device: torch.device, val: Path | None, *, candidates: bool = False
) -> tuple[Batch, str]:
    """The validation crops, and their description."""
    if val is None:
        return source.draw(Order(16, min(DRAWN_CROP, crop))), "crops of the training photos"
    middle = pairs.centre_crops(val, VALIDATION_CROP, candidates_of if candidates else None)
    described = f"{val.absolute().name}: {len(middle.sharp)} pairs"
    return middle.to(device), described


def read_sharp(folder: Path, skip: Path | None) -> tuple[list[UInt8[Tensor, "3 _ _"]], list[str]]:
    """Read the sharp photos in a folder and below it, with a line for each unusable one."""
    paths = find_files(folder, Search(skip=skip))
    for path in paths:
        inside = path.relative_to(folder).parts[:-1]
        if not BLURRED.isdisjoint(inside):
            raise InputError(
                f"{path} is not used as a sharp photo: it is in a folder of blurred photos",
                hint="Name a folder of sharp photos, or a folder of pairs, such as GoPro's train/",
            )
    with ThreadPoolExecutor() as pool:
        read = list(pool.map(_read_usable, paths))
    photos = [photo for photo in read if isinstance(photo, Tensor)]
    if not photos:
        raise InputError(f"There is no photo in {folder}" + (" that can be used" * bool(paths)))
    return photos, [line for line in read if isinstance(line, str)]


def _read_usable(path: Path) -> UInt8[Tensor, "3 _ _"] | str:
    """Read a sharp photo, or explain why it cannot be used."""
    try:
        photo = read_rgb(path)
    except BlurdmError as error:
        return str(error)
    if min(photo.shape[1:]) < CELL:
        return f"{path} is smaller than {CELL} x {CELL} pixels"
    return photo


def _check_sizes(sizes: dict[str, torch.Size], crop: int) -> None:
    """Refuse pairs and frames that are smaller than a crop, before training starts."""
    if not sizes:
        return
    name = min(sizes, key=lambda name: min(sizes[name][-2:]))
    height, width = sizes[name][-2:]
    side = min(height, width)
    if side < crop:
        fits = side // 64 * 64  # a multiple that every backbone takes
        smaller = f"Add --crop {fits}, or remove the photo" if fits else "Remove the photo"
        raise InputError(
            f"{name} has {width} x {height} pixels, smaller than a crop of {crop} x {crop}",
            hint=smaller,
        )
