"""Import third-party deblurring graphs: ONNX files and TensorFlow.js packages."""

import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from blurdm_cli.engine.foreign import describe
from blurdm_cli.engine.graph import is_ours
from blurdm_cli.engine.onnx_runtime import OnnxRuntime, open_session
from blurdm_cli.engine.runtime import Runtime
from blurdm_cli.engine.scene import SIDE, psnr, trial_scene
from blurdm_cli.engine.trial import GraphFacts, StatedFacts, find_facts, halo_of
from blurdm_cli.errors import ComputeError, ModelError, RuntimeMissing, UsageError
from blurdm_cli.importing.imported import Imported, card, origin
from blurdm_cli.importing.notices import NOTICES
from blurdm_cli.importing.tfjs import TOPOLOGY, read_package
from blurdm_cli.spec import ModelSpec, OpenVinoPrecision
from blurdm_cli.zoo import GRAPH

CONVERTED_TILE = 512
"""Side in pixels of the one size that a TensorFlow.js graph is converted at."""

SAME_PSNR = 50.0
"""Results of two runtimes that are this close, in dB, do not differ visibly."""

EXTERNAL = re.compile(rb"\n\x08location\x12([\x01-\x7f]|[\x80-\xff][\x01-\x7f])")
"""A tensor whose values are in another file, and the length of the file's name (a varint)."""

OWN_FILES = {"config.json", "README.md", GRAPH}

Say = Callable[[str], None]


def import_graph(
    path: Path,
    *,
    name: str,
    stated: StatedFacts,
    licence: str = "unknown",
    say: Say = lambda step: None,
) -> Imported:
    """Turn an ONNX graph into a model.

    Args:
        path: the graph; files with its weights are beside it.
        name: name of the new model.
        stated: facts that are known; the others are found by running the graph.
        licence: licence of the weights.
        say: called with a line for each step.

    Raises:
        ModelError: the graph cannot be read, or does not deblur pictures.
        UsageError: blurdm exported the graph, or an option contradicts it.
    """
    found = _examine(path, name, stated, say)
    spec = replace(found.spec, licence=licence, training=origin(path))
    data = path.read_bytes()
    files = {GRAPH: data} | {file: _read_beside(path, file) for file in external_files(data)}
    notes = _notes(replace(found, spec=spec))
    return Imported(spec, {}, card(spec, "\n\n".join(notes[:2])), files, notes)


def import_tfjs(
    path: Path,
    *,
    name: str,
    stated: StatedFacts,
    licence: str | None = None,
    say: Say = lambda step: None,
) -> Imported:
    """Turn a TensorFlow.js graph model into a model whose graph takes tiles of one size.

    Args:
        path: an npm package (.tgz), a folder with model.json, or that file.
        name: name of the new model.
        stated: facts that are known; `tile` is the side of the tiles.
        licence: licence of the weights; None takes the package's.
        say: called with a line for each step.

    Raises:
        ModelError: the package cannot be read or converted, or does not deblur pictures.
        UsageError: an option contradicts the graph.
    """
    import onnx

    from blurdm_cli.importing.tfjs_onnx import convert

    say("reading the package")
    package = read_package(path)
    side = stated.tile or CONVERTED_TILE
    halo = halo_of(side, stated.halo)
    small = min(side, SIDE)
    say("converting the graph")
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / GRAPH
        onnx.save(convert(package.model, small, small), graph)
        found = _examine(graph, name, replace(stated, tile=None, halo=None), say)
    notice = NOTICES.get(package.name)
    both = f"{package.licence} (package), {notice.licence} (weights)" if notice else None
    spec = replace(
        found.spec,
        tile=side,
        halo=halo,
        licence=licence or both or package.licence,
        training=origin(path / TOPOLOGY if path.is_dir() else path),
    )
    notes = _notes(replace(found, spec=spec, size=(side, side)))
    say(f"converting the graph at {side}x{side} pixels")
    texts = {
        GRAPH: convert(package.model, side, side).SerializeToString(),
        "LICENSE": package.licence_text,
        "NOTICE": notice.text.encode() if notice else b"",
    }
    others = {file: text for file, text in texts.items() if text}
    return Imported(spec, {}, card(spec, "\n\n".join(notes[:2])), others, notes)


def external_files(graph: bytes) -> set[str]:
    """Names of the files that hold weights of a graph.

    Args:
        graph: the bytes of an ONNX file.

    Raises:
        ModelError: one is not a plain name, or is that of a file of the model folder.
    """
    names = set()
    for found in EXTERNAL.finditer(graph):
        length = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(found[1]))
        name = graph[found.end() : found.end() + length].decode(errors="replace")
        if Path(name).name != name or name in OWN_FILES:
            raise ModelError(
                f"The graph reads its weights from {name!r}",
                hint="Save it again with its weights inside: onnx.save(onnx.load(FILE), NEW)",
            )
        names.add(name)
    return names


def _examine(path: Path, name: str, stated: StatedFacts, say: Say) -> GraphFacts:
    """Find the facts of a graph, and how OpenVINO runs it."""
    session, _ = open_session(path, "cpu")
    if is_ours(session.get_modelmeta().custom_metadata_map):
        raise UsageError(
            f"{path} was exported by blurdm and needs no import", hint=f"Use --model {path}"
        )
    say("trying layouts, sizes and ranges")
    found = find_facts(session, name, stated)
    say("comparing runtimes")
    return replace(found, spec=_with_openvino(path, found.spec))


def _notes(found: GraphFacts) -> tuple[str, ...]:
    facts = describe(found.spec, found.size)
    gain = f"gain on a blurred test scene: {found.gain:+.2f} dB"
    if found.gain > 0:
        return facts, gain
    return (
        facts,
        gain,
        "The scene is no sharper: is a fact wrong? --input-range and others state it",
    )


def _read_beside(path: Path, name: str) -> bytes:
    try:
        return path.with_name(name).read_bytes()
    except OSError as error:
        raise ModelError(f"{path.with_name(name)} cannot be read: {error.strerror}") from error


def _with_openvino(path: Path, spec: ModelSpec) -> ModelSpec:
    """The spec with the fastest precision in which OpenVINO gives ONNX Runtime's results."""
    assert spec.graph is not None  # the caller found it
    try:
        from blurdm_cli.engine.openvino_runtime import OpenVinoRuntime
    except ModuleNotFoundError:
        return spec
    exact = OnnxRuntime(path, "cpu", spec=spec)
    wanted = _restored(exact, spec)
    chosen: OpenVinoPrecision = "none"
    for precision in ("bf16", "fp32") if exact.precision == "fp32" else ("fp32",):
        try:
            own = precision if exact.precision == "fp32" else "auto"
            found = _restored(OpenVinoRuntime(path, precision=own, spec=spec), spec)
        except RuntimeMissing:
            continue
        except (ComputeError, ModelError):
            break
        if psnr(found, wanted) >= SAME_PSNR:
            chosen = precision
            break
    return replace(spec, graph=replace(spec.graph, openvino=chosen))


def _restored(runtime: Runtime, spec: ModelSpec) -> np.ndarray:
    blurred = trial_scene(runtime.fixed_size, spec.multiple_of)[1]
    return runtime.restore(blurred, np.zeros((1, 0), np.float32))
