"""Programs of torch.export: a file's JSON without torch, and what torch itself exports.

What needs torch skips without it; models of transformers are exported where that is installed too.
"""

import importlib
import importlib.util
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.counts import operation_counts
from hwmodel.einsum.importers.exported_program import read
from hwmodel.einsum.network import Stack
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError

TORCH = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")
BF16, INT64 = 13, 5
OPEN = {"expr_str": "Symbol('s77', positive=True, integer=True)", "hint": {"as_int": 2}}


def size(value: Any) -> dict[str, Any]:
    return {"as_int": value} if isinstance(value, int) else {"as_expr": value}


def tensor(*sizes: Any, dtype: int = BF16) -> dict[str, Any]:
    steps = [1]
    for each in reversed(sizes[1:]):
        steps.insert(0, steps[0] * each)
    return {
        "dtype": dtype,
        "sizes": [size(each) for each in sizes],
        "strides": [size(each) for each in steps[: len(sizes)]],
    }


def node(target: str, out: str, path: str = "", **given: Any) -> dict[str, Any]:
    """A call; texts are names of tensors."""
    kinds = {
        name: {"as_tensor": {"name": value}} if isinstance(value, str) else value
        for name, value in given.items()
    }
    return {
        "target": f"torch.ops.{target}",
        "inputs": [{"name": name, "arg": value, "kind": 1} for name, value in kinds.items()],
        "outputs": [{"as_tensor": {"name": out}}],
        "metadata": {"nn_module_stack": f"L__self__,,Net;L__self__x,{path},Linear"},
    }


TENSORS = {
    "p_w": tensor(96, 64),
    "x": tensor(OPEN, 8, 64),
    "y": tensor(OPEN, 8, 96),
    "z": tensor(OPEN, 8, 96),
}
NODES = [
    node("aten.linear.default", "y", "layers.0.up", input="x", weight="p_w"),
    node("aten.silu.default", "z", self="y"),
    node("aten.linear.default", "y", "layers.1.up", input="x", weight="p_w"),
]


def written(path: Path, nodes: Sequence[Any] = NODES, place: str = "net/models/model.json") -> str:
    """A program as torch 2.13 writes it, without what nobody reads."""
    graph = {"nodes": list(nodes), "tensor_values": TENSORS, "sym_int_values": {}}
    specs = [{"parameter": {"arg": {"name": "p_w"}, "parameter_name": "w"}}]
    signature = {"input_specs": [*specs, {"user_input": {"arg": {"as_tensor": {"name": "x"}}}}]}
    held = {"graph_module": {"graph": graph, "signature": signature}, "schema_version": {}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(place, json.dumps(held))
        archive.writestr("net/data/weights/weight_0", b"\0" * 64)
    return str(path)


@pytest.mark.parametrize("place", ["net/models/model.json", "serialized_exported_program.json"])
def test_a_file_is_read_without_torch(tmp_path: Path, place: str) -> None:
    found = read(written(tmp_path / "net.pt2", place=place))
    assert [(c.op, c.name) for c in found.calls] == [
        ("aten.linear", "up: linear"),
        ("aten.silu", "silu"),
        ("aten.linear", "up: linear"),
    ]
    assert found.calls[0].view("weight").role == "weight"
    assert found.calls[0].view("input").shape == (2, 8, 64)
    assert (found.name, dict(found.open_sizes)) == ("net", {"s77": 2})
    larger = read(tmp_path / "net.pt2", {"s77": 5})
    assert larger.calls[0].out.shape == (5, 8, 96)


def test_what_is_no_program_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.pt2"
    text.write_text("no archive")
    with pytest.raises(InputError, match=r"text\.pt2: no archive of torch\.export"):
        read(text)
    with pytest.raises(InputError, match=r"cannot be read: expected a \.pt2 file, found none"):
        read(tmp_path / "none.pt2")
    other = tmp_path / "other.pt2"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("archive/data.pkl", b"")  # of torch.save
    with pytest.raises(InputError, match=r"expected one graph, found 0; write it by torch\.export"):
        read(other)
    with pytest.raises(InputError, match="expected a program with calls, found none"):
        read(written(tmp_path / "empty.pt2", []))
    with pytest.raises(InputError, match=r"\.pt2 file or what torch\.export\.export returned"):
        read(7)
    with pytest.raises(UnknownNameError, match="unknown open size 'batch'"):
        read(written(tmp_path / "net.pt2"), {"batch": 4})


def test_calls_whose_number_data_decides_are_refused(tmp_path: Path) -> None:
    branch = node("higher_order.cond", "z", true={"as_graph": {"name": "t", "graph": {}}})
    with pytest.raises(CoverageError, match="cond: calls whose number data decides"):
        read(written(tmp_path / "net.pt2", [branch]))


def products(work: Stack) -> int:
    """Operations of matrix products and convolutions, but for the logits and attention.

    Models of transformers read a mask where causal attention is meant, and multiply all pairs.
    """
    found = 0
    for stage in work.stages:
        apart = stage.cascade.name.startswith(("lm_head", "head"))
        for einsum in () if apart or len(stage.cascade.einsums) > 3 else stage.cascade.einsums:
            if len(einsum.reads) == 2 and einsum.reductions and len(einsum.ranks) > 2:
                counted: Any = sum(operation_counts(einsum, stage.cascade).values())
                found += round(stage.times * counted)
    return found


def exported(model: Any, **inputs: Any) -> Any:
    torch: Any = importlib.import_module("torch")
    with torch.no_grad():
        return torch.export.export(model.eval(), (), inputs, strict=False)


@TORCH
@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # of torch's own
def test_a_small_network_counts_alike_in_memory_in_its_file_and_decomposed(tmp_path: Path) -> None:
    torch: Any = importlib.import_module("torch")
    layers: Any = torch.nn
    net = layers.Sequential(
        layers.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        *(layers.BatchNorm2d(8), layers.ReLU(), layers.MaxPool2d(2), layers.AdaptiveAvgPool2d(1)),
        *(layers.Flatten(), layers.Linear(8, 10)),
    )
    program = exported(net, input=torch.randn(2, 3, 32, 32))
    torch.export.save(program, tmp_path / "net.pt2")
    works = [hw.workloads.exported(each) for each in (program, str(tmp_path / "net.pt2"))]
    macs = 2 * (8 * 3 * 9 * 16 * 16 + 8 * 10)
    assert [products(work) for work in works] == [2 * macs, 2 * macs]
    assert [s.cascade.name for s in works[0].stages] == [s.cascade.name for s in works[1].stages]
    core = hw.workloads.exported(program.run_decompositions())
    assert products(core) == 2 * macs


@TORCH
@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("Llama", {}),
        ("Qwen3Moe", {"num_experts": 16, "num_experts_per_tok": 4, "moe_intermediate_size": 128}),
    ],
)
def test_models_of_transformers_multiply_as_their_configs_say(
    kind: str, more: dict[str, Any]
) -> None:
    torch: Any = importlib.import_module("torch")
    transformers: Any = pytest.importorskip("transformers")
    sizes = {"hidden_size": 256, "intermediate_size": 512, "vocab_size": 1000}
    sizes |= {"num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 2}
    config = getattr(transformers, f"{kind}Config")(**sizes, head_dim=32, **more)
    if more:
        config._experts_implementation = "grouped_mm"
    model = getattr(transformers, f"{kind}ForCausalLM")(config).bfloat16()
    tokens = torch.ones(2, 128, dtype=torch.long)
    work = hw.workloads.exported(exported(model, input_ids=tokens, use_cache=False))
    told = config.to_dict() | {"architectures": [f"{kind}ForCausalLM"]}
    step = hw.model(told).prefill(2, 128)
    assert products(work) == products(step)
