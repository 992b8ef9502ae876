"""Traces of models, made once per process: a trace takes seconds, what follows does not."""

import hashlib
import json
from dataclasses import replace

import onnx

from blurdm_cli.export import onnx as export
from blurdm_cli.zoo import Model

_trace = export._trace
_traces: dict[str, bytes] = {}


def trace_once(model: Model, options: export.Options) -> onnx.ModelProto:
    """A new copy of the trace of a model with these weights, in this size and opset."""
    facts = json.dumps(
        [replace(model.spec, files={}).to_json(), options.size, options.opset], sort_keys=True
    )
    digest = hashlib.sha256(facts.encode())
    for name, values in sorted(model.weights().items()):
        digest.update(name.encode() + values.tobytes())
    key = digest.hexdigest()
    if key not in _traces:
        _traces[key] = _trace(model, options).SerializeToString()
    return onnx.ModelProto.FromString(_traces[key])
