from dataclasses import replace
from math import inf

import pytest

from benchmarks.scale import Cluster, Outcome, Rates

IDEAL = Rates(
    seconds=10.0,
    overhead=0.0,
    journal=0.0,
    size=1e6,
    storage=inf,
    network=inf,
    workers=1,
    lifetime=1e12,
    repair=100.0,
)


def run(nodes: int, files: int = 4000, **rates: float) -> Outcome:
    return Cluster(replace(IDEAL, **rates), nodes, files, seed=0).run()


def test_nothing_slows_nodes_that_share_nothing():
    assert run(10).rate == pytest.approx(1, rel=0.05)
    assert run(40).rate == pytest.approx(4, rel=0.05)
    assert run(10, workers=4).rate == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize(("rate", "value"), [("journal", 0.5), ("overhead", 0.5), ("storage", 4e6)])
def test_whatever_all_share_is_the_limit(rate: str, value: float):
    assert run(10, **{rate: value}).rate == pytest.approx(1, rel=0.05)
    out = run(100, **{rate: value})
    assert out.rate == pytest.approx(2, rel=0.05)
    assert max(out.head, out.storage) == pytest.approx(1, abs=0.05)


def test_failures_cost_the_files_in_flight_and_the_time_of_repair():
    out = run(10, lifetime=900.0)
    assert out.again == pytest.approx(44 * 2, rel=0.2)  # each node fails every 1000 s
    assert out.rate == pytest.approx(0.9, rel=0.05)
    assert out.rate < run(10).rate
