"""Whether damaged and forged files can do harm to a run.

    python benchmarks/hostile.py [--files 2000] [--seed 0]

Makes files from small photos of every format: cut off at each kilobyte, with flipped bits, under
other formats' names, empty, with absurd sizes in their headers, joined from two. Then it runs
`blurdm deblur` over them, and demands: no traceback, an end in time, for every file a whole result
or an error of exit code 3, nothing partial, and bounded memory.
"""

import argparse
import json
import random
import resource
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image

SECONDS_A_FILE = 20
MEGABYTES = 3000
ABSURD = (0, 1, 0x7FFF, 0xFFFF, 22_000, 0x7FFFFFFF, 0xFFFFFFFF)
ROOT = Path(__file__).parents[1]

Sample = tuple[str, bytes]
"""A suffix and a whole file."""

Way = Callable[[Sample, random.Random], Sample]


def samples() -> list[Sample]:
    """A small photo, several kilobytes long, in every format that is read."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((96, 72), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[271], exif[274] = "Acme", 6

    def saved(format: str, mode: str = "RGB", **options: object) -> bytes:
        file = BytesIO()
        image.convert(mode).save(file, format, **options)
        return file.getvalue()

    deep = np.asarray(image).astype(np.uint16) * 257
    tiff = BytesIO()
    tifffile.imwrite(tiff, deep, photometric="rgb", compression="zlib")
    others = sorted((ROOT / "tests" / "photo" / "files").iterdir())
    return [
        (".jpg", saved("JPEG", quality=92, exif=exif)),
        (".jpg", saved("JPEG", progressive=True)),
        (".jpg", saved("JPEG", "CMYK")),
        (".png", saved("PNG", "RGBA")),
        (".png", saved("PNG", "P")),
        (".png", cv2.imencode(".png", deep)[1].tobytes()),
        (".webp", saved("WEBP", exif=exif)),
        (".webp", saved("WEBP", lossless=True)),
        (".avif", saved("AVIF", exif=exif)),
        (".tif", saved("TIFF", compression="tiff_lzw", exif=exif)),
        (".tif", tiff.getvalue()),
        (".bmp", saved("BMP")),
        (".gif", saved("GIF", "P")),
        *((path.suffix, path.read_bytes()) for path in others),
    ]


def cut(whole: list[Sample]) -> Iterator[Sample]:
    """Every sample, cut off at each kilobyte."""
    for suffix, data in whole:
        for size in range(0, len(data), 1024):
            yield suffix, data[:size]


def flipped(sample: Sample, chance: random.Random) -> Sample:
    """Some bits turned over, half of the time near the beginning."""
    data = bytearray(sample[1])
    end = len(data) if chance.random() < 0.5 else min(len(data), 400)
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        data[chance.randrange(end)] ^= 1 << chance.randrange(8)
    return sample[0], bytes(data)


def forged(sample: Sample, chance: random.Random) -> Sample:
    """An absurd number in the header, in either byte order."""
    data = bytearray(sample[1])
    order, kind = chance.choice("<>"), chance.choice("HI")
    number = chance.choice(ABSURD) & (0xFFFF if kind == "H" else 0xFFFFFFFF)
    struct.pack_into(order + kind, data, chance.randrange(4, 300), number)
    return sample[0], bytes(data)


def joined(sample: Sample, chance: random.Random) -> Sample:
    """The beginning of one file, and anything behind it."""
    other = chance.choice((sample[1][::-1], bytes(5000), chance.randbytes(5000)))
    return sample[0], sample[1][: chance.randrange(8, len(sample[1]))] + other


def renamed(sample: Sample, chance: random.Random) -> Sample:
    """A whole file under another format's name, or what is no photo under a photo's."""
    suffix = chance.choice((".jpg", ".png", ".webp", ".tif", ".heic", ".dng"))
    return suffix, chance.choice((sample[1], sample[1], b"", b"text\n" * 99, chance.randbytes(999)))


def make_corpus(folder: Path, count: int, seed: int) -> None:
    """Write so many hostile files; the same ones for the same seed."""
    chance, whole = random.Random(seed), samples()
    ways: list[Callable[[Sample, random.Random], Sample]] = [
        flipped,
        flipped,
        forged,
        joined,
        renamed,
    ]
    files = list(cut(whole))
    chance.shuffle(files)
    del files[count // 4 :]
    while len(files) < count:
        files.append(chance.choice(ways)(chance.choice(whole), chance))
    for number, (suffix, data) in enumerate(files):
        (folder / f"{number:05d}{suffix}").write_bytes(data)


def check(rows: list[dict[str, object]], output: Path, count: int, errors: str) -> list[str]:
    """What went wrong, a line each."""
    wrong = [] if len(rows) == count else [f"{len(rows)} files are told of, not {count}"]
    if "Traceback" in errors:
        wrong.append(errors[errors.index("Traceback") :])
    results = {str(row["output"]) for row in rows if row["status"] == "done"}
    for row in rows:
        if row["status"] != "done" and row["exit_code"] != 3:
            wrong.append(f"{row['input']}: {row['status']}, exit code {row['exit_code']}")
    for path in output.rglob("*"):
        if path.is_file() and ".blurdm" not in path.parts:
            if str(path) not in results:
                wrong.append(f"{path} should not be there")
            elif cv2.imread(str(path)) is None and path.suffix != ".avif":
                wrong.append(f"{path} is not whole")
    return wrong


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--files", type=int, default=2000)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        source, output = Path(name, "in"), Path(name, "out")
        source.mkdir()
        make_corpus(source, options.files, options.seed)
        script = "from blurdm_cli.commands.app import main; main()"
        words = ("deblur", str(source), "-o", str(output), "--json", "--model", "blurdm-tiny")
        done = subprocess.run(
            [sys.executable, "-c", script, *words, "--precision", "fp32"],
            capture_output=True,
            text=True,
            timeout=60 + SECONDS_A_FILE * options.files / 10,
            check=False,
        )
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        wrong = check(rows, output, options.files, done.stderr)
    counts = Counter(row["status"] for row in rows)
    longest = max((row["seconds"] for row in rows), default=0)
    megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(f"{options.files} files: {dict(counts)}, exit code {done.returncode}")
    print(f"longest {longest:.1f} s, largest memory {megabytes} MB")
    if longest > SECONDS_A_FILE or megabytes > MEGABYTES:
        wrong.append("too slow, or too much memory")
    if wrong:
        sys.exit("\n".join(wrong[:20]))


if __name__ == "__main__":
    main()
