"""Connect to a Ray cluster, or start one on this machine."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from blurdm_cli.errors import RuntimeMissing, UsageError
from blurdm_cli.machine import available_cores

if TYPE_CHECKING:
    from blurdm_cli.cluster.pool import ClusterPool
    from blurdm_cli.pipeline.options import ModelOptions
    from blurdm_cli.pipeline.worker import WorkerOptions

LOOPBACK = "127.0.0.1"

STORE = 2**27
"""Bytes of the object store of a cluster on this machine; it only holds the model."""

REACH = 5.0
"""Seconds in which the head of a cluster has to answer."""

LONGEST = 22
"""Characters of the path of a temporary folder; that of a socket must not exceed 104."""


@contextmanager
def open_cluster(
    address: str, warn: Callable[[str], object], model: ModelOptions, options: WorkerOptions
) -> Iterator[ClusterPool]:
    """Have the model open on the nodes of a cluster while the block runs.

    Args:
        address: see `connected`.
        warn: called with a line about each node that cannot be used.
        model: the model; its device is "auto", "cpu" or "cuda".
        options: options of the files.

    Raises:
        BlurdmError: there is no cluster, or the model cannot be opened on any node.
    """
    with connected(address):
        # not imported before: it imports Ray, which reads its settings then
        from blurdm_cli.cluster.pool import ClusterPool

        pool = ClusterPool(model, options, warn)
        try:
            pool.start()
            yield pool
        finally:
            pool.close()


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Be connected to a cluster while the block runs.

    Args:
        address: "local" starts one of this machine's cores and cards, which listens on the
            loopback address alone and ends with the block; "auto" is the one that this machine
            belongs to; else the address of its head, HOST:PORT.

    Raises:
        UsageError: the address cannot be one.
        RuntimeMissing: Ray is not installed, or there is no cluster.
    """
    if "://" in address:
        raise UsageError(
            f"--cluster cannot be {address}",
            hint="Run blurdm on a machine of the cluster, with --cluster auto or HOST:PORT",
        )
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    folder = _new_folder() if address == "local" else None
    try:
        _connect(address, _local(folder) if folder else {})
        try:
            yield
        finally:
            _disconnect()
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _new_folder() -> str:
    """Create a temporary folder whose path leaves room for the names of Ray's sockets."""
    usual = tempfile.gettempdir()
    return tempfile.mkdtemp(prefix="blurdm-", dir=usual if len(usual) <= LONGEST else "/tmp")


def _local(folder: str) -> dict[str, Any]:
    """Options of a cluster on this machine; others on it lack the token to use it."""
    os.environ |= {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray then takes the loopback address
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_worker_niceness": "0",
    }
    return {
        "num_cpus": available_cores(),
        "include_dashboard": False,
        "object_store_memory": STORE,
        "_node_ip_address": LOOPBACK,
        "_temp_dir": folder,
    }


def _connect(address: str, options: dict[str, Any]) -> None:
    try:
        import ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise RuntimeMissing(
            "Ray is not installed", hint='pip install "blurdm-cli[ray]"'
        ) from error
    # Ray prints notes about ended workers and nodes to stdout, between lines of JSON
    ray._private.worker._worker_logs_enabled = False
    try:
        if address != "local":
            address = _reached(address)
        ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL, **options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise RuntimeMissing(
            f"There is no Ray cluster at {address!r}: {said[0][:200]}",
            hint="Start one with `ray start --head`, or use --cluster local",
        ) from error


def _reached(address: str) -> str:
    """Find a cluster's address, and connect to it: Ray would try for minutes.

    Raises:
        OSError, ValueError: nothing answers there.
    """
    from ray._private.services import canonicalize_bootstrap_address

    found = canonicalize_bootstrap_address(address) or address
    host, _, port = found.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), REACH).close()
    return found


def _disconnect() -> None:
    import ray

    ray.shutdown()
