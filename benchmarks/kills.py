"""Whether runs survive being killed at any moment, and a user's own files between runs.

    python benchmarks/kills.py [--photos 200] [--kills 40] [--seed 0]

Runs `blurdm deblur` over small photos into a folder, over photos in place, and over videos; kills
it (SIGKILL) after a random time, again and again; then lets it end. Between half of the kills a
user puts a file of their own where a result would go, or, in place, a new photo where an old one
was. At the end each result must have the bytes of a run that nothing disturbed, each original and
each file of the user must be there, and nothing else.
"""

import argparse
import hashlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

SUFFIXES = (".jpg", ".png", ".webp", ".tif")
VIDEOS = 6
KILLS_A_ROUND = 5


def make_photos(folder: Path, count: int) -> None:
    """Small photos of several formats, in several folders."""
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        path = folder / f"day {number % 5}" / f"{number:03d}{SUFFIXES[number % len(SUFFIXES)]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise).resize((64, 48), Image.Resampling.BICUBIC).save(path)


def make_videos(folder: Path, count: int, frames: int = 40) -> None:
    """Small videos in a codec whose bytes are the same in every run."""
    folder.mkdir(parents=True)
    for number in range(count):
        with av.open(str(folder / f"{number}.mkv"), "w") as file:
            stream = file.add_stream("ffv1", rate=Fraction(25))
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for frame in range(frames):
                grey = np.full((48, 64), (5 * frame + number) % 256, np.uint8)
                file.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="gray")))
            file.mux(stream.encode(None))


def contents(folder: Path) -> dict[str, bytes]:
    """Files by their paths, without the journal and what an interrupted run left."""
    files = (path for path in folder.rglob("*") if path.is_file())
    inside = {path.relative_to(folder): path for path in files}
    return {
        str(name): essence(path)
        for name, path in inside.items()
        if ".blurdm" not in name.parts and not name.name.endswith((".part", ".lock"))
    }


def essence(path: Path) -> bytes:
    """The bytes of a file; of a video its frames, as Matroska holds a random number."""
    with suppress(av.FFmpegError):
        if path.suffix == ".mkv":
            with av.open(str(path)) as file:
                frames = [frame.to_ndarray().tobytes() for frame in file.decode(video=0)]
            return hashlib.sha256(b"".join(frames)).digest()
    return path.read_bytes()


@dataclass
class Scenario:
    """A run that is killed again and again."""

    name: str
    sources: dict[str, bytes]
    """The originals."""
    whole: dict[str, bytes]
    """The results of a run that nothing disturbed."""
    folder: Path
    """Folder of the results."""
    words: list[str]
    in_place: bool = False
    user: dict[str, bytes] = field(default_factory=dict)
    """The user's own files."""

    def disturb(self, chance: random.Random) -> None:
        """Put a file of the user's where a result would go, or a new photo in an input's place."""
        there = contents(self.folder)
        if self.in_place:
            free = [name for name in self.sources if there.get(name) == self.sources[name]]
        else:
            free = [name for name in self.whole if name not in there]
        free = [name for name in free if name not in self.user]
        if not free:
            return
        name = chance.choice(free)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.in_place:
            (path.with_name(path.name + ".orig")).unlink(missing_ok=True)
            picture = np.full((48, 64, 3), chance.randrange(256), np.uint8)
            path.unlink()
            Image.fromarray(picture).save(path)
            self.user[name] = path.read_bytes()
        else:
            self.user[name] = f"the user's {name} {chance.random()}".encode()
            path.write_bytes(self.user[name])

    def losses(self, *, at_end: bool) -> list[str]:
        """Files that are lost, wrong or superfluous, a line each."""
        there = contents(self.folder)
        wrong = []
        for name, data in self.user.items():
            if data not in (there.get(name), there.get(f"{name}.orig")):
                wrong.append(f"the user's {name} is lost")
        if self.in_place:
            for name, data in self.sources.items():
                kept = data in (there.get(name), there.get(f"{name}.orig"))
                if not kept and name not in self.user:
                    wrong.append(f"the original of {name} is lost")
        expected = self.whole if not self.in_place else self.sources | self.whole
        for name, data in there.items():
            plain = name.removesuffix(".orig") if self.in_place else name
            if plain in self.user:
                continue
            fits = {expected.get(name), self.sources.get(plain) if self.in_place else None}
            if data not in fits:
                wrong.append(f"{name} is wrong, or too much")
        if at_end:
            missing = set(self.whole) - set(there) - set(self.user)
            wrong += [f"{name} is missing" for name in sorted(missing)]
        return wrong


def command(*words: object) -> list[str]:
    script = "from blurdm_cli.commands.app import main; main()"
    options = ("--model", "blurdm-tiny", "--precision", "fp32")
    return [sys.executable, "-c", script, "deblur", *map(str, words), *options]


def kill_after(words: list[str], seconds: float) -> bool:
    """Start a command and kill it; returns whether it was still at work."""
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    return False


def into_folder(place: Path, make: Callable[[Path], None], name: str) -> tuple[Scenario, float]:
    source, output, whole = (place / part for part in ("in", "out", "whole"))
    make(source)
    begin = time.monotonic()
    subprocess.run(command(source, "-o", whole), check=True, stderr=subprocess.DEVNULL)
    seconds = time.monotonic() - begin
    words = command(source, "-o", output)
    return Scenario(name, contents(source), contents(whole), output, words), seconds


def in_place(place: Path, make: Callable[[Path], None], name: str) -> tuple[Scenario, float]:
    source, whole = place / "in", place / "whole"
    make(source)
    shutil.copytree(source, whole)
    begin = time.monotonic()
    subprocess.run(command(whole, "--in-place"), check=True, stderr=subprocess.DEVNULL)
    seconds = time.monotonic() - begin
    words = command(source, "--in-place")
    originals = contents(source)
    return Scenario(name, originals, contents(whole), source, words, in_place=True), seconds


def torment(scenario: Scenario, seconds: float, kills: int, chance: random.Random) -> list[str]:
    """Kill a scenario's run up to so many times, then let it end; return what went wrong."""
    done = 0
    while done < kills and kill_after(scenario.words, chance.uniform(0.3, 1) * seconds / 2):
        done += 1
        if wrong := scenario.losses(at_end=False):
            return wrong
        if done % 2:
            scenario.disturb(chance)
    subprocess.run(scenario.words, check=False, stderr=subprocess.DEVNULL)
    wrong = scenario.losses(at_end=True)
    facts = f"{len(scenario.whole)} files, {done} kills, {len(scenario.user)} files of a user's"
    print(f"{scenario.name}: {facts}")
    return wrong


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--photos", type=int, default=200)
    arguments.add_argument("--kills", type=int, default=40)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    chance, wrong = random.Random(options.seed), list[str]()
    ways = (
        (into_folder, lambda folder: make_photos(folder, options.photos), "photos"),
        (in_place, lambda folder: make_photos(folder, options.photos), "photos in place"),
        (into_folder, lambda folder: make_videos(folder, VIDEOS), "videos"),
    )
    for way, make, name in ways:
        for _ in range(-(-options.kills // (len(ways) * KILLS_A_ROUND))):
            with tempfile.TemporaryDirectory() as folder:
                scenario, seconds = way(Path(folder), make, name)
                wrong += torment(scenario, seconds, KILLS_A_ROUND, chance)
    print(f"{len(wrong)} losses")
    if wrong:
        sys.exit("\n".join(wrong[:20]))


if __name__ == "__main__":
    main()
