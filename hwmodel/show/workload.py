"""Models, stacks and cascades for people: one line, a text, a notebook's table.

Where sizes are arrays, the first and the last value are shown. Units: operations and bytes, with
prefixes of 1000.
"""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import flops
from hwmodel.einsum.network import Stack
from hwmodel.einsum.printer import show as text
from hwmodel.einsum.workloads.model import Model
from hwmodel.quantity.units import Amount, show
from hwmodel.text.grid import grid
from hwmodel.text.markup import answer_html, plain_html

STAGES = ("stage", "runs", "operations of all runs", "then")


def cascade_finding(cascade: Cascade) -> str:
    """Name, number of Einsums and sizes of ranks."""
    count = len(cascade.einsums)
    return f"{cascade.name}: {count} Einsum{'s' * (count > 1)} over {_sizes(cascade.sizes())}"


def cascade_html(cascade: Cascade) -> str:
    """The notation, as it is."""
    return f"<p><b>{escape(cascade_finding(cascade))}</b></p>{plain_html(text(cascade))}"


def stack_finding(stack: Stack) -> str:
    """Name, number of kernels and operations."""
    kernels = sum(stage.times for stage in stack.stages)
    operations = sum(stage.times * flops(stage.cascade) for stage in stack.stages)
    where = ""
    if stack.origin is not None:
        sizes = {k: v for k, v in stack.origin.arguments.items() if _is_size(v)}
        if np.all(sizes.get("tp") == 1):  # the whole of it
            del sizes["tp"]
        where = f" at {_sizes(sizes)}"
    return f"{stack.name}{where}: {kernels:,} kernels, {_amount(operations)} operations"


def stack_text(stack: Stack) -> str:
    """The stages in order."""
    return f"{stack_finding(stack)}\n\n{grid(STAGES, _stages(stack), left=(0, 3))}"


def stack_html(stack: Stack) -> str:
    """The same for a notebook."""
    return answer_html(stack_finding(stack), [(STAGES, _stages(stack))], stack.warnings)


def model_finding(model: Model) -> str:
    """Name and size."""
    return f"{model.name}: {show(model.parameters, '').rstrip()} parameters"


def model_text(model: Model) -> str:
    """The model's sizes."""
    return f"{model_finding(model)}\n\n{grid(('', ''), _facts(model), left=(0, 1))}"


def model_html(model: Model) -> str:
    """The same for a notebook."""
    return answer_html(model_finding(model), [(("", ""), _facts(model))], model.warnings)


def _facts(model: Model) -> list[list[str]]:
    network = model.network
    formats = (
        f"{part} {getattr(model.precision, part)}"
        for part in ("weight", "kv", "activation", "linear")
    )
    return [
        ["layers", f"{network.depth} of size {network.hidden:,}"],
        *(["heads", words] for words in network.words),
        [
            "parameters",
            f"{model.parameters:,}, of which a token uses {model.active_parameters:,}",
        ],
        ["weights", show(model.weight_bytes, "bytes")],
        ["KV cache", f"{show(model.kv_bytes_per_token, 'bytes')} a token"],
        ["formats", ", ".join(formats)],
    ]


def _stages(stack: Stack) -> list[list[str]]:
    return [
        [
            stage.name,
            f"{stage.times:,}",
            _amount(stage.times * flops(stage.cascade)),
            stage.collective.op if stage.collective else "",
        ]
        for stage in stack.stages
    ]


def _is_size(value: Any) -> bool:
    return isinstance(value, (int, float, np.ndarray)) and not isinstance(value, bool)


def _sizes(sizes: Mapping[str, Amount]) -> str:
    return ", ".join(f"{name} {_size(size)}" for name, size in sizes.items())


def _size(size: Amount) -> str:
    flat = np.ravel(size)
    ends = f"{flat[0]:.12g}" if flat.size == 1 else f"{flat[0]:.12g} ... {flat[-1]:.12g}"
    return ends if flat.size == 1 else f"{ends} ({flat.size:,} values)"


def _amount(count: Amount) -> str:
    return show(float(np.ravel(count)[0]), "").rstrip()
