"""What a run learns from and is evaluated on: folders of photos, read whole before it begins."""

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
"""Side, in pixels, of the middle of a pair that is evaluated on."""

DRAWN_CROP = 128
"""Side, in pixels, of the training crops that are evaluated on where there are no such pairs."""


@dataclass(frozen=True)
class Data:
    """What a run learns from and is evaluated on."""

    source: Source
    validation: Batch
    described: list[str]
    """A line for each folder to learn from, as the model's card shows them."""
    evaluated: str
    """What the validation crops are of."""
    makes_blur: bool
    """Whether there are sharp photos, of whose blur the partial exposures are known."""
    left_out: list[str]
    """A line for each sharp photo that nothing is learnt from."""


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
    """Read all training photos, and the crops to evaluate on.

    Args:
        paths: folders of sharp photos or of pairs, and RealBlur's lists.
        crops: sides of all crops that the run will ask for, in pixels.
        device: where the photos are to lie.
        frames: a folder of consecutive sharp frames.
        frames_share: of all crops, those of the frames.
        val: pairs to evaluate on; None for crops of the training photos, always the same.
        skip: a folder that is not looked into: the run's own.
        candidates: folders of prepared crops, which are learnt from instead of photos.

    Raises:
        InputError: there is nothing in a folder, something that cannot be read, or a pair
            or a frame that is smaller than a crop.
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
    """The crops to evaluate on, and what they are of."""
    if val is None:
        return source.draw(Order(16, min(DRAWN_CROP, crop))), "crops of the training photos"
    middle = pairs.centre_crops(val, VALIDATION_CROP, candidates_of if candidates else None)
    described = f"{val.absolute().name}: {len(middle.sharp)} pairs"
    return middle.to(device), described


def read_sharp(folder: Path, skip: Path | None) -> tuple[list[UInt8[Tensor, "3 _ _"]], list[str]]:
    """The sharp photos in a folder and below it, and a line for each that cannot be used."""
    paths = find_files(folder, Search(skip=skip))
    for path in paths:
        inside = path.relative_to(folder).parts[:-1]
        if not BLURRED.isdisjoint(inside):
            raise InputError(
                f"{path} is not taken for a sharp photo: it lies in a folder of blurred ones",
                hint="Name the folder of sharp photos, or that of pairs, such as GoPro's train/",
            )
    with ThreadPoolExecutor() as pool:
        read = list(pool.map(_read_usable, paths))
    photos = [photo for photo in read if isinstance(photo, Tensor)]
    if not photos:
        raise InputError(f"There is no photo in {folder}" + (" that can be used" * bool(paths)))
    return photos, [line for line in read if isinstance(line, str)]


def _read_usable(path: Path) -> UInt8[Tensor, "3 _ _"] | str:
    """Read a sharp photo, or say why nothing can be learnt from it."""
    try:
        photo = read_rgb(path)
    except BlurdmError as error:
        return str(error)
    if min(photo.shape[1:]) < CELL:
        return f"{path} is smaller than {CELL} x {CELL} pixels"
    return photo


def _check_sizes(sizes: dict[str, torch.Size], crop: int) -> None:
    """Refuse a pair or a frame that a crop could not be cut from, before anything is learnt."""
    if not sizes:
        return
    name = min(sizes, key=lambda name: min(sizes[name][-2:]))
    height, width = sizes[name][-2:]
    side = min(height, width)
    if side < crop:
        fits = side // 64 * 64  # a multiple that every backbone takes
        smaller = f"Add --crop {fits}, or leave it out" if fits else "Leave it out"
        raise InputError(
            f"{name} has {width} x {height} pixels: smaller than a crop of {crop} x {crop}",
            hint=smaller,
        )
