"""Which functions write a value: in one line, as a text, as HTML of a notebook.

One row a class. Functions are named, and loaded when first used: rich and polars are costly.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars

WRITERS = {
    "Estimate": {
        "line": "hwmodel.show.text:headline",
        "text": "hwmodel.show.text:estimate_text",
        "html": "hwmodel.show.html:estimate_html",
    },
    "Limit": {
        "text": "hwmodel.show.text:limit_text",
        "html": "hwmodel.show.html:limit_html",
    },
    "Hardware": {
        "line": "hwmodel.show.datasheet:finding",
        "text": "hwmodel.show.datasheet:device_text",
        "html": "hwmodel.show.datasheet:device_html",
    },
    "Stack": {
        "line": "hwmodel.show.workload:stack_finding",
        "text": "hwmodel.show.workload:stack_text",
        "html": "hwmodel.show.workload:stack_html",
    },
    "Part": {
        "text": "hwmodel.show.parts:part_text",
        "html": "hwmodel.show.parts:part_html",
    },
    "Calibration": {
        "line": "hwmodel.show.datasheet:calibration_finding",
        "text": "hwmodel.show.datasheet:calibration_text",
        "html": "hwmodel.show.datasheet:calibration_html",
    },
    "Family": {
        "text": "hwmodel.show.datasheet:family_text",
        "html": "hwmodel.show.datasheet:family_html",
    },
    "Library": {
        "line": "hwmodel.show.software:library_finding",
        "text": "hwmodel.show.software:library_text",
        "html": "hwmodel.show.software:library_html",
    },
    "Engine": {
        "line": "hwmodel.show.software:engine_finding",
        "text": "hwmodel.show.software:engine_text",
        "html": "hwmodel.show.software:engine_html",
    },
    "Model": {
        "line": "hwmodel.show.workload:model_finding",
        "text": "hwmodel.show.workload:model_text",
        "html": "hwmodel.show.workload:model_html",
    },
    "Training": {
        "text": "hwmodel.show.training:training_text",
        "html": "hwmodel.show.training:training_html",
    },
    "Trained": {
        "text": "hwmodel.show.training:trained_text",
        "html": "hwmodel.show.training:trained_html",
    },
    "Streamed": {
        "text": "hwmodel.show.programs:streamed_text",
        "html": "hwmodel.show.programs:streamed_html",
    },
    "Priced": {
        "text": "hwmodel.show.programs:program_text",
        "html": "hwmodel.show.programs:program_html",
    },
    "Serving": {
        "text": "hwmodel.show.serving:serving_text",
        "html": "hwmodel.show.serving:serving_html",
    },
    "Served": {
        "text": "hwmodel.show.serving:served_text",
        "html": "hwmodel.show.serving:served_html",
    },
    "Cascade": {
        "line": "hwmodel.show.workload:cascade_finding",
        "text": "hwmodel.einsum.printer:show",
        "html": "hwmodel.show.workload:cascade_html",
    },
}
"""Class -> how it is shown -> module and function. Without "line" it is the text's first one."""


def write(how: str, value: Any) -> str:
    """`value` written as "line", "text" or "html"."""
    kind = next(c.__name__ for c in type(value).__mro__ if c.__name__ in WRITERS)
    if how == "line" and how not in WRITERS[kind]:  # what the text opens with
        return " ".join(write("text", value).split("\n\n")[0].split())
    module, function = WRITERS[kind][how].split(":")
    written = getattr(importlib.import_module(module), function)(value)
    return " ".join(written.split()) if how == "line" else written


def record(value: Any) -> dict[str, Any]:
    """An estimate's fields with one value a point, and its warnings."""
    from hwmodel.show.fields import point_record

    return point_record(value)


def columns(value: Any) -> "polars.DataFrame":
    """An estimate of many points as a table."""
    from hwmodel.show.columns import estimate_table

    return estimate_table(value)


def part_columns(value: Any) -> "polars.DataFrame":
    """The parts of an estimate of one point as a table."""
    from hwmodel.show.columns import parts_frame

    return parts_frame(value)
