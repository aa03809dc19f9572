"""Programs of torch.export: files (`torch.export.save`, `.pt2`) and programs in memory.

A `.pt2` is an archive whose graph is JSON (torch's `_export/serde/schema.py`, major version 8; as
`models/NAME.json`, before torch 2.7 as `serialized_exported_program.json`): it is read as it is,
without torch, and weights are not looked at. Sizes that were left open when the program was
exported are those of its example unless `sizes` says them; what only data decides is refused.
"""

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from hwmodel.einsum.importers.calls import Call
from hwmodel.einsum.importers.extents import Extents
from hwmodel.einsum.importers.strided import View
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.quantity.reading import json_value, kind_of, name_of, why

MOST_BYTES = 2**29
"""Of a graph's JSON: some 300,000 calls."""

GRAPHS = ("models/", "serialized_exported_program.json")
FORMATS = {
    **{1: "int8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "fp16", 7: "fp32", 8: "fp64"},
    **{12: "bool", 13: "bf16", 28: "int16", 29: "fp8", 30: "fp8"},
}
"""Number of an element type in a file (`ScalarType` of the schema) -> format."""
NAMED = {
    **{"bfloat16": "bf16", "float16": "fp16", "float32": "fp32", "float64": "fp64"},
    **{"bool": "bool", "uint8": "int8", "int8": "int8", "int16": "int16", "int32": "int32"},
    **{"int64": "int64", "float8_e4m3fn": "fp8", "float8_e5m2": "fp8", "uint16": "int16"},
}
"""Type of torch -> format."""
INLINED = ("wrap_with_set_grad_enabled", "wrap_with_autocast")
"""Operators that call a graph of their own, once."""


@dataclass(frozen=True)
class Program:
    """The calls of a program in order; `open_sizes` are its symbols and what they stand for."""

    name: str
    calls: tuple[Call, ...]
    open_sizes: Mapping[str, int]


def read(source: Any, sizes: Mapping[str, Any] | None = None) -> Program:
    """A program in a file, or one in memory; `InputError` and `CoverageError` say what is wrong."""
    extents = Extents(sizes or {})
    if isinstance(source, (str, Path)):
        calls, name = list(_Stored(_loaded(source), extents).calls()), Path(source).stem
    elif hasattr(source, "graph_signature") and hasattr(source, "graph_module"):
        calls, name = list(_live(source, extents)), _class_of(source)
    else:
        told = "expected a .pt2 file or what torch.export.export returned"
        raise InputError(f"exported: {told}, found {type(source).__name__}")
    if not calls:
        raise InputError(f"{name}: expected a program with calls, found none")
    extents.check()
    return Program(name, tuple(calls), extents.taken)


def _loaded(path: str | Path) -> dict[str, Any]:
    """The JSON of an archive's only graph."""
    if kind_of(path) != "file":
        raise InputError(f"{name_of(path)}: cannot be read: expected a .pt2 file, found none")
    try:
        with zipfile.ZipFile(path) as archive:
            held = [n for n in archive.namelist() if n.endswith(".json") and _is_graph(n)]
            if len(held) != 1:
                raise InputError(
                    f"{name_of(path)}: expected one graph, found {len(held)}; write it by"
                    " torch.export.save(torch.export.export(model, inputs), path)"
                )
            if archive.getinfo(held[0]).file_size > MOST_BYTES:
                raise InputError(
                    f"{name_of(path)}: expected a graph of at most {MOST_BYTES:,} bytes"
                )
            text = archive.read(held[0]).decode("utf-8")
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{name_of(path)}: no archive of torch.export: {why(cast(Exception, error))}"
        ) from None
    found = json_value(text, where=name_of(path), words=True)
    if not isinstance(found, dict) or "graph_module" not in found:
        raise InputError(f"{name_of(path)}: expected an exported program, found other JSON")
    return cast(dict[str, Any], found)


def _is_graph(name: str) -> bool:
    inner = name.partition("/")[2]
    return any(each.startswith(GRAPHS) for each in (name, inner))


class _Stored:
    """A program as its file has it."""

    def __init__(self, held: Mapping[str, Any], extents: Extents) -> None:
        module = held["graph_module"]
        self.graph, self.extents = module["graph"], extents
        self.roles = dict(_roles(module["signature"]["input_specs"]))
        self.views: dict[str, View] = {}

    def calls(self) -> Iterator[Call]:
        """Those of the graph, and of graphs that it calls once."""
        for meta in self.graph["tensor_values"].values():
            for size in meta["sizes"]:
                self.extents.stored(size, known=False)
        yield from self._of(self.graph)

    def _of(self, graph: Mapping[str, Any]) -> Iterator[Call]:
        metas = graph["tensor_values"]
        for node in graph["nodes"]:
            op = _operator(str(node["target"]).removeprefix("torch.ops."))
            if op is None:
                continue
            within = [
                e["arg"]["as_graph"]["graph"] for e in node["inputs"] if "as_graph" in e["arg"]
            ]
            if within:
                if not op.endswith(INLINED):
                    raise CoverageError(f"{op}: calls whose number data decides are not modelled")
                for each in within:
                    yield from self._of(each)
                continue
            given = {each["name"]: self._value(each["arg"], metas) for each in node["inputs"]}
            names = [n for each in node["outputs"] for n in _tensors(each)]
            results = tuple(self._view(name, metas) for name in names)
            path = str(node.get("metadata", {}).get("nn_module_stack", "")).rpartition(";")[2]
            if results:
                yield Call(op, given, results, _called(path.split(",")[1:2], op))

    def _view(self, name: str, metas: Mapping[str, Any]) -> View:
        meta = metas[name]
        shape, strides = (
            tuple(self.extents.stored(each) for each in meta[part]) for part in ("sizes", "strides")
        )
        dtype = FORMATS.get(int(meta["dtype"]))
        if dtype is None:
            raise CoverageError(f"{name}: numbers of type {meta['dtype']} are not modelled")
        return View(shape, strides, dtype, self.roles.get(name, "activation"))

    def _value(self, argument: Mapping[str, Any], metas: Mapping[str, Any]) -> Any:
        kind, value = cast(tuple[str, Any], next(iter(argument.items()), ("as_none", True)))
        match kind:
            case "as_none":
                return None
            case "as_tensor":
                return self._view(value["name"], metas)
            case "as_tensors":
                return [self._view(each["name"], metas) for each in value]
            case "as_optional_tensors":
                return [self._value(each, metas) for each in value]
            case "as_sym_int":
                return self._size(value)
            case "as_sym_ints":
                return [self._size(each) for each in value]
            case _:
                return value

    def _size(self, value: Mapping[str, Any]) -> int:
        """A number, or the value that a call has made of sizes."""
        held = self.graph["sym_int_values"].get(value.get("as_name"), value)
        return self.extents.stored(held)


def _tensors(output: Mapping[str, Any]) -> Iterator[str]:
    """Names of the tensors that a result of a call is."""
    if "as_tensor" in output:
        yield output["as_tensor"]["name"]
    for each in output.get("as_tensors", ()):
        yield each["name"]
    for each in output.get("as_optional_tensors", ()):
        yield from _tensors(each)


def _roles(specs: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """What the bytes of inputs are: a program's parameters, buffers and constants are weights."""
    for spec in specs:
        for kind, held in spec.items():
            if kind in ("parameter", "buffer", "tensor_constant"):
                yield held["arg"]["name"], "weight"


def _operator(target: str) -> str | None:
    """`aten.mm.default` as `aten.mm`; None of what counts nothing, such as sizes in Python."""
    space, _, rest = target.partition(".")
    if space in ("_operator", "math", "torch", "builtins") or rest.startswith(("sym_", "_guards")):
        return None
    return f"{space}.{rest.rpartition('.')[0] or rest}" if space != "higher_order" else target


def _called(path: Iterable[str], op: str) -> str:
    """`layers.0.mlp.up` and `aten.linear` as `up: linear`."""
    words = [w for p in path for w in p.split(".") if not w.isdigit() and w.isidentifier()]
    short = op.partition(".")[2].strip("_")
    return f"{words[-1]}: {short}" if words else short


def _class_of(program: Any) -> str:
    """What the module was called whose program this is."""
    for node in program.graph.nodes:
        for _, kind in _modules(node):
            return kind.rpartition(".")[2].rstrip("'>")
    return "exported program"


def _modules(node: Any) -> list[tuple[str, str]]:
    """Path and class of the modules that a call stands in, outermost first."""
    held: Mapping[str, Any] = node.meta.get("nn_module_stack") or {}
    return [(str(path), str(kind)) for path, kind in held.values()]


def _live(program: Any, extents: Extents) -> Iterator[Call]:
    """The calls of a program in memory."""
    signature = program.graph_signature
    weights = {
        name
        for part in (
            "inputs_to_parameters",
            "inputs_to_buffers",
            "inputs_to_lifted_tensor_constants",
        )
        for name in getattr(signature, part, {})
    }
    for node in program.graph.nodes:
        for size in getattr(node.meta.get("val"), "shape", ()):
            extents.live(size, known=False)
    yield from _nodes(program.graph_module, weights, extents)


def _nodes(module: Any, weights: set[str], extents: Extents) -> Iterator[Call]:
    for node in module.graph.nodes:
        if node.op != "call_function":
            continue
        target = str(node.target).replace("<built-in function ", "_operator.").rstrip(">")
        op = _operator(target)
        if op is None:
            continue
        within = [each for each in node.args if getattr(each, "op", "") == "get_attr"]
        within = [getattr(module, each.target) for each in within if hasattr(module, each.target)]
        within = [each for each in within if hasattr(each, "graph")]
        if within:
            if not op.endswith(INLINED):
                raise CoverageError(f"{op}: calls whose number data decides are not modelled")
            for each in within:
                yield from _nodes(each, weights, extents)
            continue
        schema = getattr(node.target, "_schema", None)
        names = [each.name for each in schema.arguments] if schema is not None else []
        given = dict(zip(names, node.args, strict=False)) | dict(node.kwargs)
        held = {name: _plain(value, weights, extents) for name, value in given.items()}
        made = node.meta.get("val")
        results = [made] if not isinstance(made, (list, tuple)) else list(cast(Any, made))
        views = tuple(_seen(e, "activation", extents) for e in results if hasattr(e, "stride"))
        if views:
            yield Call(op, held, views, _called([path for path, _ in _modules(node)[-1:]], op))


def _plain(value: Any, weights: set[str], extents: Extents) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(each, weights, extents) for each in cast(Iterable[Any], value)]
    if not hasattr(value, "meta"):
        return extents.live(value) if hasattr(value, "node") else value
    made = value.meta.get("val")
    if hasattr(made, "stride"):
        return _seen(made, "weight" if value.name in weights else "activation", extents)
    return extents.live(made) if hasattr(made, "node") else made


def _seen(tensor: Any, role: str, extents: Extents) -> View:
    dtype = NAMED.get(str(tensor.dtype).removeprefix("torch."))
    if dtype is None:
        raise CoverageError(f"numbers of type {tensor.dtype} are not modelled")
    shape, strides = (tuple(map(extents.live, each)) for each in (tensor.shape, tensor.stride()))
    return View(shape, strides, dtype, role)
