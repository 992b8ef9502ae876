"""Whether runs over a bucket survive being killed at any moment.

    python benchmarks/bucket.py [--photos 60] [--videos 2] [--kills 10] [--seed 0]

Starts an S3 server on this machine (moto), runs `blurdm deblur s3://blurred -o s3://sharp/` over
small photos and videos, kills it (SIGKILL) after a random time, again and again, and lets it end.
After each kill no object may be partial; at the end each must be there, have the content of a
plain run over files, and have been written once: the bucket keeps all versions.
"""

import argparse
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import s3fs
from kills import command, contents, essence, kill_after, make_photos, make_videos
from moto.server import ThreadedMotoServer

ACCOUNT = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}


def start_server() -> Any:
    """Start a server that all programs of this process use from now on."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    port = server.get_host_and_port()[1]
    region = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    os.environ.update(ACCOUNT | region | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"})
    return server


def results(files: Any, place: Path) -> dict[str, bytes]:
    """The objects in the output bucket by their keys; of videos their frames."""
    place.mkdir(exist_ok=True)
    found = {}
    for name in files.find("sharp"):
        path = place / f"object{Path(name).suffix}"
        files.get_file(name, str(path))
        found[name.removeprefix("sharp/")] = essence(path)
    return found


def versions(files: Any) -> Counter[str]:
    """How often each object was written."""
    listed = files.call_s3("list_object_versions", Bucket="sharp").get("Versions", ())
    return Counter(each["Key"] for each in listed)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--photos", type=int, default=60)
    arguments.add_argument("--videos", type=int, default=2)
    arguments.add_argument("--kills", type=int, default=10)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    chance = random.Random(options.seed)
    server = start_server()
    files = s3fs.S3FileSystem(use_listings_cache=False)
    try:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            os.environ["XDG_CACHE_HOME"] = str(place / "cache")
            torment(files, place, options, chance)
    finally:
        server.stop()


def torment(files: Any, place: Path, options: argparse.Namespace, chance: random.Random) -> None:
    source, whole = place / "in", place / "whole"
    make_photos(source, options.photos)
    make_videos(source / "videos", options.videos)
    for bucket in ("blurred", "sharp"):
        files.mkdir(bucket)
    files.call_s3(
        "put_bucket_versioning", Bucket="sharp", VersioningConfiguration={"Status": "Enabled"}
    )
    files.put(f"{source}/", "blurred/", recursive=True)
    subprocess.run(command(source, "-o", whole), check=True, stderr=subprocess.DEVNULL)
    wanted = contents(whole)
    words = command("s3://blurred", "-o", "s3://sharp/")
    begin = time.monotonic()
    subprocess.run([*words, "--dry-run"], check=True, stderr=subprocess.DEVNULL)
    least = time.monotonic() - begin
    kills, wrong = 0, list[str]()
    while kills < options.kills:
        left = len(wanted) - len(files.find("sharp"))
        if not kill_after(words, least + chance.uniform(0, 4) * left / len(wanted)):
            break
        kills += 1
        made = results(files, place / "check")
        wrong += [
            f"{name} is wrong after kill {kills}" for name in made if made[name] != wanted[name]
        ]
    subprocess.run(words, check=False, stderr=subprocess.DEVNULL)
    made, written = results(files, place / "check"), versions(files)
    wrong += [f"{name} is missing or wrong" for name in wanted if made.get(name) != wanted[name]]
    wrong += [f"{name} was written {count} times" for name, count in written.items() if count > 1]
    seconds = time.monotonic() - begin
    print(f"{len(wanted)} files, {kills} kills, {seconds:.0f} s")
    print(f"{len(made)} objects, {sum(written.values())} writes, {len(wrong)} wrong")
    left_over = [path for path in (place / "cache").rglob("*") if path.is_file()]
    if wrong or left_over:
        sys.exit("\n".join([*wrong, *map(str, left_over)]))


if __name__ == "__main__":
    main()
