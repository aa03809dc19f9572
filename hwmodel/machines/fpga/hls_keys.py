"""Keys of a config of hls4ml: which count here, which are known, and which are neither.

hls4ml takes any key and looks only at those that it asks for, so that a misspelt one leaves the
default in its place without a word; here it is told, with the nearest that is known. Names are
those of its documentation ("Configuration") and of the configs that it writes.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.errors import InputError, nearest
from hwmodel.quantity.printable import shown

READ = "IOType ClockPeriod Backend HLSConfig Part XilinxPart"
SILENT = (
    "OutputDir ProjectName KerasModel KerasJson KerasH5 OnnxModel PytorchModel TensorFlowModel"
    " ModelType InputData OutputPredictions InputShape WriterConfig Version Stamp Writer Trace"
    " TraceOutput"
)
"""What neither fabric nor cycles can depend on."""
AROUND = "Board ClockUncertainty Interface Driver AcceleratorConfig Precision Simulator Compiler"
ENTRY = "Precision ReuseFactor Strategy"
ENTRY_KNOWN = (
    "BramFactor Compression ConvImplementation PipelineStyle PipelineInterval TargetCycles"
    " TableSize ParallelizationFactor Implementation MergeRelu SkipBits n_partitions"
    " ExpTableSize InvTableSize Activation"
)
FORMATS = "default weight bias result accum input"
FORMATS_KNOWN = (
    "table scale threshold maximum exp_table inv_table inv_inp sum recurrent_weight"
    " recurrent_bias pointwise_weight pointwise_bias depthwise_weight depthwise_bias"
    " depthwise_accum pointwise_accum depthwise_result mult alpha beta"
)
FASTEST_HZ = {"ultrascale+": 891e6}
"""What the fastest speed grade of a fabric clocks a DSP48E2 at: AMD DS923 and DS925, from memory of
the published tables (unverified). Block RAM and clock trees end lower."""


def told(where: str, said: Mapping[str, Any], read: str, known: str) -> list[str]:
    """What of a table changes no answer, by name."""
    names, passed = read.split(), known.split()
    notes: list[str] = []
    for key in map(str, said):
        bare = key.removesuffix("_t")
        if bare in (*names, *SILENT.split()):
            continue
        if bare in passed:
            notes.append(f"{where}: {key} is not read here")
            continue
        near = nearest(key[:100], (*names, *passed))
        meant = f"; did you mean {near[0]!r}?" if near else ""
        notes.append(f"{where}: {shown(key)} is no key of hls4ml that is known, not read{meant}")
    return notes


def told_entry(where: str, entry: Mapping[str, Any]) -> list[str]:
    """The same of a model's, type's or layer's entry, its formats among them."""
    precision = entry.get("Precision")
    formats: Mapping[str, Any] = {}
    if isinstance(precision, Mapping):
        formats = cast(Mapping[str, Any], precision)
    return [
        *told(where, entry, ENTRY, ENTRY_KNOWN),
        *told(f"{where}: Precision", formats, FORMATS, FORMATS_KNOWN),
    ]


def told_part(said: str, hardware: Hardware) -> list[str]:
    """Whether a config is of another part than the board that is asked about."""
    die = re.match(r"xc\w+", said.lower())
    name = die[0] if die else said.lower()
    if not said or name == f"xc{hardware.name}" or name in hardware.title.lower():
        return []
    return [f"Part {said} is the config's; the answer is of {hardware.name}, its fabric and limits"]


def check_clock(clock_hz: float, hardware: Hardware, where: str) -> list[str]:
    """Refuse a clock that no part of this fabric has; tell one above what designs are taken for."""
    fastest = FASTEST_HZ.get(hardware.architecture)
    period, own_hz = (
        f"{where}: ClockPeriod: {1e9 / clock_hz:g} ns",
        float(np.max(hardware.clock_hz)),
    )
    if fastest is not None and clock_hz > fastest:
        raise InputError(
            f"{period}: expected {1e9 / fastest:.3g} ns or more, what the fastest {fastest / 1e6:g}"
            f" MHz slices of {hardware.architecture} take, found {clock_hz / 1e6:g} MHz"
        )
    if clock_hz > own_hz:
        told_of = f"the {own_hz / 1e6:g} MHz that designs on {hardware.name} are taken to reach"
        return [f"{period} is faster than {told_of}; whether it closes timing is not modelled"]
    return []
