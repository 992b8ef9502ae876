"""Whether `blurdm serve` stands many requests at once, some of them hostile.

    python benchmarks/load.py [--requests 200] [--hostile 20] [--queue 16]

Starts a server with blurdm-tiny, and sends all requests at the same time; those that are told to
come again (503) do. Demands that each good answer is, byte for byte, what `deblur_file` writes,
that each hostile body gets an error or a whole result, that the server still answers, that memory
is bounded, and that no file is left.
"""

import argparse
import http.client
import io
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from hostile import flipped, forged, joined, moved, samples
from PIL import Image

from blurdm_cli import deblur_file

SPOOLED = "blurdm-serve-*"
"""Folder of the server's files in that for temporary files."""

MEGABYTES = 1500
"""Limit for the server and its process together."""

SECONDS = 300
"""Limit for all requests."""


@dataclass(frozen=True)
class Answer:
    """One answer, after as many tries as it took."""

    status: int
    body: bytes
    seconds: float
    tries: int


def photos(count: int) -> list[bytes]:
    """Small photos of different sizes."""
    made = []
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 256, (12 + number, 20, 3), dtype=np.uint8)
        file = io.BytesIO()
        image = Image.fromarray(noise).resize((160, 96 + 8 * number), Image.Resampling.BICUBIC)
        image.save(file, "JPEG", quality=92)
        made.append(file.getvalue())
    return made


def hostile_bodies(count: int, seed: int) -> list[bytes]:
    """Mutated photos, photos that declare huge sizes, text, and nothing."""
    chance = random.Random(seed)
    ways = (flipped, forged, joined, moved)
    huge = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(huge, "PNG")
    bodies = [huge.getvalue(), b"", b"text\n" * 1000, chance.randbytes(10_000)]
    whole = samples()
    bodies += [chance.choice(ways)(chance.choice(whole), chance)[1] for _ in range(count)]
    return bodies[:count]


def ask(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, bytes, str]:
    """One request: status, body and Retry-After."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request(method, path, body)
        reply = connection.getresponse()
        return reply.status, reply.read(), reply.getheader("Retry-After", "1")
    finally:
        connection.close()


def insist(port: int, body: bytes) -> Answer:
    """Deblur a photo; come again as long as the server is busy."""
    begin, tries = time.monotonic(), 0
    while True:
        tries += 1
        status, answer, later = ask(port, "POST", "/api/deblur", body)
        if status != 503 or time.monotonic() - begin > SECONDS:
            return Answer(status, answer, time.monotonic() - begin, tries)
        time.sleep(int(later) * random.uniform(0.5, 1.5))


@contextmanager
def server(queue: int, folder: Path) -> Iterator[tuple[int, int]]:
    """A server; its process and port."""
    script = "from blurdm_cli.commands.app import main; main()"
    words = ("serve", "--port", "0", "--model", "blurdm-tiny", "--precision", "fp32")
    command = [sys.executable, "-c", script, *words, "--queue", str(queue)]
    environment = os.environ | {"TMPDIR": str(folder)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as running:
        assert running.stderr
        found = re.search(r":(\d+)/", running.stderr.readline())
        assert found
        try:
            yield running.pid, int(found[1])
        finally:
            running.terminate()
            running.wait(60)


def memory(pid: int) -> int:
    """Largest memory in MB of a process and its children so far."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    kilobytes = 0
    for each in (str(pid), *children):
        found = re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{each}/status").read_text())
        kilobytes += int(found[1]) if found else 0
    return kilobytes // 1024


def slow_client(port: int) -> socket.socket:
    """A client that begins a request and never ends it."""
    client = socket.create_connection(("127.0.0.1", port))
    head = "POST /api/deblur HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nabc"
    client.sendall(head.encode())
    return client


def is_fine(answer: Answer) -> bool:
    """Whether a hostile body got an error with a message, or a photo."""
    if answer.status == 200:
        with Image.open(io.BytesIO(answer.body)) as image:
            image.load()
        return True
    return answer.status in (400, 413, 422) and b'"error"' in answer.body


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--requests", type=int, default=200)
    arguments.add_argument("--hostile", type=int, default=20)
    arguments.add_argument("--queue", type=int, default=16)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    wrong: list[str] = []

    def demand(condition: bool, what: str) -> None:
        if not condition:
            wrong.append(what)

    with tempfile.TemporaryDirectory() as name:
        spool = Path(name, "spool")
        spool.mkdir()
        good = photos(8)
        wanted = [right(photo, Path(name)) for photo in good]
        bodies: list[tuple[bytes, bytes | None]] = [
            (good[number % 8], wanted[number % 8])
            for number in range(options.requests - options.hostile)
        ]
        bodies += [(body, None) for body in hostile_bodies(options.hostile, options.seed)]
        random.Random(options.seed).shuffle(bodies)
        with server(options.queue, spool) as (pid, port):
            before = memory(pid)
            slow = [slow_client(port) for _ in range(4)]
            begin = time.monotonic()
            with ThreadPoolExecutor(len(bodies)) as pool:
                answers = list(pool.map(partial(insist, port), (body for body, _ in bodies)))
            seconds = time.monotonic() - begin
            for client in slow:
                client.close()
            after = memory(pid)
            for (body, result), answer in zip(bodies, answers, strict=True):
                if result is None:
                    demand(is_fine(answer), f"hostile, {body[:8]!r}: {answer.status}")
                else:
                    demand(answer.body == result, f"a good photo: {answer.status}, other bytes")
            demand(ask(port, "GET", "/healthz")[0] == 200, "the server does not answer")
            left = [path for path in spool.glob(f"{SPOOLED}/**/*") if path.is_file()]
            demand(not left, f"files are left: {left[:3]}")
        demand(not list(spool.glob(SPOOLED)), "folders are left after the end")
    statuses = Counter(answer.status for answer in answers)
    print(f"{len(answers)} requests at once, {options.hostile} hostile: {dict(statuses)}")
    print(f"{seconds:.1f} s, {sum(a.tries for a in answers)} tries, queue of {options.queue}")
    print(f"longest wait {max(a.seconds for a in answers):.1f} s")
    print(f"memory {before} MB before, {after} MB at most")
    demand(after < MEGABYTES, "too much memory")
    if wrong:
        sys.exit("\n".join(wrong[:20]))


def right(photo: bytes, folder: Path) -> bytes:
    """What `deblur_file` writes for a photo."""
    (folder / "photo.jpg").write_bytes(photo)
    options = {"model": "blurdm-tiny", "precision": "fp32", "on_exists": "overwrite"}
    return deblur_file(folder / "photo.jpg", folder / "right.jpg", **options).read_bytes()


if __name__ == "__main__":
    main()
