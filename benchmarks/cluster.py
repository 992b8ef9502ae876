"""Runs on a Ray cluster whose nodes and workers are killed, and what sharing a run costs.

    python benchmarks/cluster.py [--photos 300] [--videos 3] [--kills 20] [--measured 18] ...
    python benchmarks/cluster.py --kills 0 --measured 40 --model blurdm-fast --size 640x480

Needs Linux, Ray, and the right to have a network of its own (`unshare`): there a cluster of a head
and two nodes (`--nodes`) of one core each is started. `blurdm deblur --cluster` runs over small
photos and videos of three segments; at random a worker or a node is killed (SIGKILL), and a node
joins for each that is gone.
The results must have the bytes of a plain run. Then a run's own process is killed, and a plain
run finishes it. At the end the cost of a file is measured: the CPU time of the run and its workers,
against that of as many plain processes that divide the files, in turn, as medians.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import numpy as np
from kills import contents, make_photos, make_videos
from PIL import Image

INSIDE = "BLURDM_BENCHMARK_NAMESPACE"
"""Set where the script runs in its network."""

NODE: dict[str, Any] = {
    "include_dashboard": False,
    "node_ip_address": "127.0.0.1",
    "object_store_memory": 10**8,
}
SCRIPT = "from blurdm_cli.commands.app import main; main()"
SMALL = "blurdm-tiny"


def command(*words: object, model: str = SMALL) -> list[str]:
    options = ("--model", model, "--precision", "fp32", "--json")
    return [sys.executable, "-c", SCRIPT, "deblur", *map(str, words), *options]


class Nodes:
    """A head without workers and some nodes, in this process."""

    def __init__(self, folder: Path, count: int) -> None:
        from ray.cluster_utils import Cluster

        self._cluster: Any = Cluster(
            initialize_head=True,
            head_node_args={**NODE, "num_cpus": 0, "temp_dir": str(folder)},
        )
        self.address: str = self._cluster.address
        self._nodes = [self._join() for _ in range(count)]

    def kill_node(self, chance: random.Random) -> bool:
        gone = self._nodes.pop(chance.randrange(len(self._nodes)))
        self._cluster.remove_node(gone, allow_graceful=False)
        self._nodes.append(self._join())
        return True

    def _join(self) -> Any:
        """Add a node; on a busy machine Ray gives up on one after 30 s."""
        for _ in range(5):
            with suppress(Exception):
                return self._cluster.add_node(**NODE, num_cpus=1)
        return self._cluster.add_node(**NODE, num_cpus=1)

    def kill_worker(self, chance: random.Random) -> bool:
        workers = processes("ray::RemoteWorker")
        if workers:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(workers), signal.SIGKILL)
        return bool(workers)

    def close(self) -> None:
        self._cluster.shutdown()


def processes(words: str) -> list[int]:
    """Processes in this network whose command line begins with these words."""
    found, mine = [], os.readlink("/proc/self/ns/net")
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            own = (folder / "cmdline").read_bytes().startswith(words.encode())
            if own and os.readlink(folder / "ns" / "net") == mine:
                found.append(int(folder.name))
    return found


def cpu_seconds() -> tuple[float, float]:
    """CPU time of the runs in this network and their workers, and of Ray's own processes."""
    runs = rays = 0
    mine = os.readlink("/proc/self/ns/net")
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if folder.name.isdigit() and os.readlink(folder / "ns" / "net") == mine:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                ticks = sum(map(int, fields[11:15]))
                words = (folder / "cmdline").read_bytes()
                if words.startswith(b"ray::RemoteWorker") or b"\0deblur\0" in words:
                    runs += ticks
                else:
                    rays += ticks
    second = os.sysconf("SC_CLK_TCK")
    return runs / second, rays / second


def torment(nodes: Nodes, source: Path, output: Path, kills: int, chance: random.Random) -> int:
    """Run over a cluster, and kill something after every few results; return the kills.

    Where no worker runs that could be killed, it is tried again after the next result.
    """
    total = sum(path.is_file() for path in source.rglob("*"))
    moments = chance.sample(range(1, total * 9 // 10), kills)
    words = command(source, "-o", output, "--cluster", nodes.address)
    done = killed = 0
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
        assert run.stdout
        for line in run.stdout:
            assert json.loads(line)["status"] == "done", line
            done += 1
            while killed < sum(moment <= done for moment in moments):
                way: Callable[[random.Random], bool]
                way = chance.choice((nodes.kill_node, nodes.kill_worker))
                if not way(chance):
                    break
                killed += 1
    assert run.returncode == 0
    assert done == total
    return killed


def entries(output: Path) -> int:
    """How often a file was begun, according to the journal."""
    lines = (output / ".blurdm" / "run.ndjson").read_text().splitlines()
    return sum(json.loads(line)["status"] == "writing" for line in lines)


def interrupt(nodes: Nodes, source: Path, output: Path, results: int) -> int:
    """Kill a run's own process after so many results; return how many a plain run skips."""
    words = command(source, "-o", output, "--cluster", nodes.address)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
        assert run.stdout
        for _ in range(results):
            run.stdout.readline()
        run.kill()
    while processes("ray::RemoteWorker"):
        time.sleep(0.1)
    made = subprocess.run(
        command(source, "-o", output), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
    )
    rows = [json.loads(line) for line in made.stdout.splitlines()]
    return sum(row["reason"] == "done-before" for row in rows)


def measure(nodes: Nodes, folder: Path, options: argparse.Namespace) -> None:
    """Print the time of a file on a cluster, and in as many plain processes as it has nodes."""
    count, rounds, many = options.measured, options.rounds, options.nodes
    width, height = map(int, options.size.split("x"))
    parts = [folder / f"part {number}" for number in range(many)]
    for number in range(count):  # all parts have the same photos, and take equally long
        pixels = np.random.default_rng(number // many).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        path = parts[number % many] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC).save(path)
    again = ("--on-exists", "overwrite", "--no-resume")
    model = options.model
    plain = [
        command(part, "-o", folder / "plain" / part.name, *again, model=model) for part in parts
    ]
    cluster = ("--cluster", nodes.address)
    shared = [command(*parts, "-o", folder / "out", *again, *cluster, model=model)]
    spent = [(spend(plain, count), spend(shared, count)) for _ in range(rounds)]
    (cpu, _, wall), (more, rays, longer) = np.median(spent, axis=0)
    for name, used, took in (("plain processes", cpu, wall), ("workers", more, longer)):
        name = f"{many} {name}"
        print(f"{name:<20} {used * 1000:5.0f} ms of CPU a file, {took:6.3f} s between results")
    ratios = [ours[0] / theirs[0] - 1 for theirs, ours in spent]
    least, most = min(ratios), max(ratios)
    print(
        f"{'overhead':<20} {np.median(ratios):.1%} ({least:.1%} to {most:.1%}) in {rounds} rounds"
    )
    print(f"{'Ray itself':<20} {rays:.1%} of a core")


def spend(commands: list[list[str]], count: int) -> tuple[float, float, float]:
    """Measure what several commands spend while they run at the same time.

    It is taken from the third part of the results to the last but one tenth, when all processes
    have started and none has ended.

    Returns:
        CPU seconds per result, those of Ray itself per second, and seconds between two results.
    """
    heard = SimpleQueue[None]()
    readers = []
    for words in commands:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        readers.append(Thread(target=hear, args=(process, heard)))
        readers[-1].start()
    first, last = count // 3, count - max(count // 10, 2 * len(commands))
    for _ in range(first):
        heard.get()
    before, begin = cpu_seconds(), time.monotonic()
    for _ in range(last - first):
        heard.get()
    after, wall = cpu_seconds(), time.monotonic() - begin
    runs, rays = (later - earlier for earlier, later in zip(before, after, strict=True))
    for reader in readers:
        reader.join()
    return runs / (last - first), rays / wall, wall / (last - first)


def hear(process: subprocess.Popen[bytes], heard: SimpleQueue[None]) -> None:
    assert process.stdout
    for _ in process.stdout:
        heard.put(None)
    process.wait()


def compare(name: str, whole: Path, output: Path) -> None:
    """End the script if a result is missing, wrong or superfluous."""
    wanted, made = contents(whole), contents(output)
    wrong = [path for path in wanted.keys() | made.keys() if wanted.get(path) != made.get(path)]
    print(f"{name}: {len(made)} results, {len(wrong)} wrong")
    if wrong:
        sys.exit("\n".join(sorted(wrong)[:20]))


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--photos", type=int, default=300)
    arguments.add_argument("--videos", type=int, default=3)
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--measured", type=int, default=18)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--nodes", type=int, default=2)
    arguments.add_argument("--model", default=SMALL, help="of the measured photos")
    arguments.add_argument("--size", default="2048x1536", help="of the measured photos, in pixels")
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    if INSIDE not in os.environ:
        alone = [
            "unshare",
            "--map-root-user",
            "--net",
            "sh",
            "-c",
            'ip link set lo up && exec "$@"',
        ]
        os.environ[INSIDE] = "1"
        os.execvp("unshare", [*alone, "sh", sys.executable, *sys.argv])
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        (folder / "ray").mkdir()
        os.environ |= {"RAY_TMPDIR": name, "RAY_USAGE_STATS_ENABLED": "0"}
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}
        os.environ |= {"RAY_worker_niceness": "0"}
        nodes = Nodes(folder, options.nodes)
        try:
            if options.kills:
                make_photos(folder / "in", options.photos)
                if options.videos:
                    make_videos(folder / "in" / "videos", options.videos, frames=250)
                words = command(folder / "in", "-o", folder / "whole")
                subprocess.run(words, check=True, capture_output=True)
                begin = time.monotonic()
                output = folder / "killed"
                killed = torment(nodes, folder / "in", output, options.kills, chance)
                again = entries(output) - len(contents(output))
                seconds = time.monotonic() - begin
                print(
                    f"{killed} kills of nodes and workers in {seconds:.0f} s:"
                    f" {again} files were begun again"
                )
                compare("killed", folder / "whole", output)
                output = folder / "interrupted"
                skipped = interrupt(nodes, folder / "in", output, options.photos // 2)
                print(f"interrupted by SIGKILL: a plain run skips {skipped}, and does the others")
                compare("finished", folder / "whole", output)
            if options.measured:
                measure(nodes, folder, options)
        finally:
            nodes.close()


if __name__ == "__main__":
    main()
