"""What happens to runs on a cluster, as JSON; started where only the loopback address exists.

python -m tests.cluster.scenario local|nodes FOLDER
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from blurdm_cli.cluster.connection import open_cluster
from blurdm_cli.files.inputs import Search
from blurdm_cli.pipeline.batch import deblur_files
from blurdm_cli.pipeline.options import ModelOptions, PhotoOptions, RunOptions, VideoOptions
from blurdm_cli.pipeline.outcome import Outcome
from blurdm_cli.pipeline.reporter import Silent
from tests.cli import TINY
from tests.pipeline.album import MAIN

NODE = {
    "num_cpus": 1,
    "include_dashboard": False,
    "node_ip_address": "127.0.0.1",
    "object_store_memory": 10**8,
    "include_log_monitor": False,
    "no_monitor": True,
}


def processes(words: str) -> list[int]:
    """Processes in this network whose command line contains these words."""
    found, mine = [], os.readlink("/proc/self/ns/net")
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if words in line and os.readlink(folder / "ns" / "net") == mine:
                found.append(int(folder.name))
        except (OSError, ValueError):
            continue
    return found


def listening() -> list[str]:
    """Addresses in hexadecimal, other than the loopback ones, that processes listen on."""
    loopback = ("0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000")
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path("/proc/net", table).read_text().splitlines()[1:]
    ]
    addresses = [row[1].split(":")[0] for row in rows if row[3] == "0A"]
    return [address for address in addresses if address not in loopback]


def local(folder: Path) -> dict[str, Any]:
    """Interrupt a run on a cluster of this machine when it has its first result."""
    words = [folder / "in", "-o", folder / "out", "--json", *TINY, "--cluster", "local"]
    environment = os.environ | {"TMPDIR": str(folder / "temporary"), "HOME": str(folder / "home")}
    process = subprocess.Popen(
        [*MAIN, *map(str, words)], stdout=subprocess.PIPE, env=environment, text=True
    )
    assert process.stdout
    first = json.loads(process.stdout.readline())
    open_to = listening()
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    code = process.wait(60)
    return {
        "first": first,
        "listening": open_to,
        "code": code,
        "seconds": time.monotonic() - begin,
        "left": len(processes("raylet") + processes("ray::")),
        "temporary": os.listdir(folder / "temporary"),
        "home": os.listdir(folder / "home"),
    }


SEARCH = Search(suffixes={".png", ".mkv"})


class Killer(Silent):
    """With the first result, adds a node and kills all workers; with the fifth, kills the node."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self._node: Any = None
        self.told: list[Outcome] = []

    def finished(self, outcome: Outcome, facts: Mapping[str, Any]) -> None:
        self.told.append(outcome)
        if len(self.told) == 1:
            self._node = self._cluster.add_node(**NODE)
            for number in processes("ray::RemoteWorker"):
                os.kill(number, signal.SIGKILL)
        elif len(self.told) == 5:
            self._cluster.remove_node(self._node, allow_graceful=False)


def nodes(folder: Path) -> dict[str, Any]:
    """Kill workers and a node that joined a cluster during a run."""
    short = Path(tempfile.mkdtemp(dir="/tmp"))  # a socket's path has at most 107 characters
    (short / "ray").mkdir()
    os.environ |= {"RAY_TMPDIR": str(short), "RAY_USAGE_STATS_ENABLED": "0"}
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}
    os.environ |= {"RAY_worker_niceness": "0"}  # not 15, beside other tests
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "temp_dir": str(short)})
    killer = Killer(cluster)
    try:
        outcomes = deblur_files(
            RunOptions([str(folder / "in")], output=str(folder / "out"), search=SEARCH),
            ModelOptions("blurdm-tiny", precision="fp32"),
            PhotoOptions(),
            VideoOptions(),
            killer,
            open_pool=partial(open_cluster, cluster.address, killer.warn),
        )
    finally:
        cluster.shutdown()
        shutil.rmtree(short, ignore_errors=True)
    return {"outcomes": [asdict(outcome) | {"error": None} for outcome in outcomes]}


if __name__ == "__main__":
    print(json.dumps({"local": local, "nodes": nodes}[sys.argv[1]](Path(sys.argv[2]))))
