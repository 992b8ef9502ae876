"""The mean of two models' weights, as a model of its own.

    python benchmarks/mean_weights.py MODEL OTHER OUTPUT

OTHER was trained from MODEL, so that both are of one kind. The mean forgets less of what only the
first one learnt (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).
`blurdm export onnx OUTPUT --into-model` adds the graph.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from blurdm_cli import zoo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("model", "other"):
        parser.add_argument(name)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    first, second = zoo.find(options.model), zoo.find(options.other)
    ours, theirs = first.weights(), second.weights()
    mean = {
        name: ((ours[name].astype(np.float32) + array.astype(np.float32)) / 2).astype(array.dtype)
        for name, array in theirs.items()
    }
    training = second.spec.training | {"weights": "the mean of before and after this run"}
    spec = replace(second.spec, training=training, files={})
    zoo.write(options.output, spec, mean, first.card())


if __name__ == "__main__":
    main()
