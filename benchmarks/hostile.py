"""Whether damaged and forged files can do harm to a run.

    python benchmarks/hostile.py [--files 4000] [--videos 1000] [--seed 0] [--keep FOLDER]

Mutates small photos and videos of every format: cut off, with flipped bits, absurd numbers in their
headers, pieces moved or doubled, joined from two, under other formats' names, empty. Then it runs
`blurdm deblur` over them, and demands: no traceback, an end in time, for every file a whole result
or an error of exit code 3, nothing partial, and bounded memory.
"""

import argparse
import json
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import tifffile
from PIL import Image

from blurdm_cli.files.formats import VIDEO_SUFFIXES
from blurdm_cli.files.inputs import is_program

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
    inks, pages = BytesIO(), BytesIO()
    five = np.dstack([deep, deep[..., :2]])
    tifffile.imwrite(inks, five, photometric="separated", planarconfig="contig")
    with tifffile.TiffWriter(pages) as writer:
        writer.write(noise, photometric="rgb", subfiletype=1)
        writer.write(np.asarray(image), photometric="icclab")
    frames: dict[str, Any] = {"save_all": True, "append_images": [image.rotate(180)]}
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
        (".tif", inks.getvalue()),
        (".tif", pages.getvalue()),
        (".bmp", saved("BMP")),
        (".gif", saved("GIF", "P")),
        (".gif", saved("GIF", "P", comment="a day at sea", **frames)),
        (".png", saved("PNG", **frames)),
        *((path.suffix, path.read_bytes()) for path in others),
    ]


CLIPS = (
    (".mp4", "mp4", "libx264", "aac"),
    (".mov", "mov", "mpeg4", "pcm_s16le"),
    (".mkv", "matroska", "ffv1", "flac"),
    (".webm", "webm", "libvpx", "libopus"),
    (".avi", "avi", "mjpeg", "pcm_s16le"),
    (".ts", "mpegts", "mpeg2video", "mp2"),
    (".mp4", "mp4", "libx265", "aac"),
)
"""Suffix, container, and codecs of picture and sound."""


def clips() -> list[Sample]:
    """A clip of eight small frames with sound, in every container that is usual."""
    made = []
    for suffix, container, picture, sound in CLIPS:
        file = BytesIO()
        with av.open(file, "w", format=container) as output:
            options = {"x265-params": "log-level=none"} if picture == "libx265" else {}
            video: Any = output.add_stream(picture, rate=25, options=options)
            video.width, video.height = 64, 64
            video.pix_fmt = "yuvj420p" if picture == "mjpeg" else "yuv420p"
            audio: Any = output.add_stream(sound, rate=48000, layout="mono")
            output.start_encoding()
            for number in range(8):
                grey = np.roll(np.indices((64, 64)).sum(0) * 3 % 256, number, 1).astype(np.uint8)
                output.mux(video.encode(av.VideoFrame.from_ndarray(grey, format="gray")))
            output.mux(video.encode(None))
            context = audio.codec_context
            for number in range(12):
                samples = context.frame_size or 1024
                silence = av.AudioFrame(format=context.format.name, layout="mono", samples=samples)
                silence.sample_rate, silence.pts = 48000, number * samples
                for plane in silence.planes:
                    plane.update(bytes(plane.buffer_size))
                output.mux(audio.encode(silence))
            output.mux(audio.encode(None))
        made.append((suffix, file.getvalue()))
    return made


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


def moved(sample: Sample, chance: random.Random) -> Sample:
    """A piece of the file, doubled, left out, or in another place."""
    suffix, data = sample
    first = chance.randrange(len(data))
    last = min(first + chance.choice((4, 8, 100, 1000)), len(data))
    piece, rest = data[first:last], data[:first] + data[last:]
    at = chance.choice((first, chance.randrange(len(rest) + 1)))
    return suffix, rest[:at] + piece * chance.choice((0, 1, 2)) + rest[at:]


def renamed(sample: Sample, chance: random.Random) -> Sample:
    """A whole file under another format's name, or what is no photo under a photo's."""
    suffix = chance.choice((".jpg", ".png", ".webp", ".tif", ".heic", ".dng"))
    return suffix, chance.choice((sample[1], sample[1], b"", b"text\n" * 99, chance.randbytes(999)))


def make_corpus(folder: Path, whole: list[Sample], count: int, seed: int) -> None:
    """Write so many hostile files; the same ones for the same seed."""
    chance = random.Random(seed)
    ways: list[Callable[[Sample, random.Random], Sample]] = [
        flipped,
        flipped,
        forged,
        joined,
        moved,
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
    wrong = [] if len(rows) == count else [f"{len(rows)} files are reported, not {count}"]
    if "Traceback" in errors:
        wrong.append(errors[errors.index("Traceback") :])
    results = {str(row["output"]) for row in rows if row["status"] == "done"}
    for row in rows:
        if row["status"] != "done" and row["exit_code"] != 3:
            wrong.append(f"{row['input']}: exit code {row['exit_code']}, {row['message']}")
    for path in output.rglob("*"):
        if path.is_file() and ".blurdm" not in path.parts:
            if str(path) not in results:
                wrong.append(f"{path} should not be there")
            elif not is_whole(path):
                wrong.append(f"{path} is not whole")
    return wrong


def is_whole(path: Path) -> bool:
    """Whether a result can be read: a photo, or every frame of a video."""
    if path.suffix in VIDEO_SUFFIXES:
        format = "mpegts" if path.suffix == ".ts" else None  # a short one is not recognised
        with suppress(av.FFmpegError), av.open(str(path), format=format) as video:
            return any(True for _ in video.decode(video=0))
        return False
    return path.suffix == ".avif" or cv2.imread(str(path)) is not None


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--files", type=int, default=4000, help="photos")
    arguments.add_argument("--videos", type=int, default=1000)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--keep", type=Path, help="folder for the files, if any does harm")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        source, output = Path(name, "in"), Path(name, "out")
        for kind, whole, wanted in (
            ("photos", samples(), options.files),
            ("videos", clips(), options.videos),
        ):
            (source / kind).mkdir(parents=True)
            make_corpus(source / kind, whole, wanted, options.seed)
        # what looks like a program in TypeScript is left out without a word
        count = sum(not is_program(path) for path in source.rglob("*.*"))
        script = "from blurdm_cli.commands.app import main; main()"
        words = ("deblur", str(source), "-o", str(output), "--json", "--model", "blurdm-tiny")
        done = subprocess.run(
            [sys.executable, "-c", script, *words, "--precision", "fp32"],
            capture_output=True,
            text=True,
            timeout=60 + SECONDS_A_FILE * count / 10,
            check=False,
        )
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        wrong = check(rows, output, count, done.stderr)
        if wrong and options.keep:
            shutil.copytree(source, options.keep, dirs_exist_ok=True)
    counts = Counter(row["status"] for row in rows)
    longest = max((row["seconds"] for row in rows), default=0)
    megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(f"{count} files: {dict(counts)}, exit code {done.returncode}")
    print(f"longest {longest:.1f} s, largest memory {megabytes} MB")
    if longest > SECONDS_A_FILE or megabytes > MEGABYTES:
        wrong.append("too slow, or too much memory")
    if wrong:
        sys.exit("\n".join(wrong[:20]))


if __name__ == "__main__":
    main()
