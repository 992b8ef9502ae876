"""Metrics of the server, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "blurdm_http_requests",
            "HTTP requests by status.",
            ["status"],
            registry=self._registry,
        )
        self.jobs = Counter(
            "blurdm_jobs", "Jobs that ended, by state.", ["state"], registry=self._registry
        )
        self.seconds = Histogram(
            "blurdm_job_seconds",
            "Seconds from the start of a job to its end.",
            buckets=(0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600),
            registry=self._registry,
        )
        self._queue = Gauge("blurdm_queue_jobs", "Jobs that wait.", registry=self._registry)
        self._starts = Gauge(
            "blurdm_worker_starts",
            "Starts of the process that holds the model; it ends if it crashes or hangs.",
            registry=self._registry,
        )

    def watch(self, queue: Callable[[], float], starts: Callable[[], float]) -> None:
        """Read values when they are asked for.

        Args:
            queue: number of jobs that wait.
            starts: number of starts of the worker process.
        """
        self._queue.set_function(queue)
        self._starts.set_function(starts)

    def text(self) -> bytes:
        """All metrics."""
        return generate_latest(self._registry)
