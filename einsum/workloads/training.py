"""A step of training as a workload: a config, its sequences, and how they are divided.

A config may be that of a network on images, or volumes, whose sequences are images.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hwmodel.einsum.workloads.mapped import is_network, mapped, names
from hwmodel.einsum.workloads.model import Model, model
from hwmodel.einsum.workloads.training_step import Training, trained, wide_of
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown


@checked
def training(
    config: Model | Mapping[str, Any] | str | Path,
    sequence: int | None = None,
    global_batch: int | None = None,
    micro_batch: int | None = None,
    devices: int | None = None,
    tp: int | None = None,
    sp: int | bool | None = None,
    cp: int | None = None,
    ep: int | None = None,
    etp: int | None = None,
    dp: int | None = None,
    pp: int | None = None,
    vp: int | None = None,
    layers: Sequence[int] | None = None,
    schedule: str | None = None,
    zero: int | None = None,
    recompute: str | None = None,
    recompute_layers: int | None = None,
    vocabulary: str | None = None,
    dtype: str = "bf16",
    optimizer: str = "adam",
    gradient_dtype: str = "fp32",
    copy_dtype: str = "fp32",
    state_dtype: str | None = None,
    attention: str = "flash",
    dropout: bool = False,
    loss: str = "whole",
    adapters: int | str | Mapping[str, Any] | None = None,
    frozen: str | None = None,
    sampled: float = 1.0,
    dispatch: str | None = None,
    overlap: str | None = None,
    async_tp: bool = False,
    graphs: bool | None = None,
    scales: str = "tensor",
    mtp: int | None = None,
    every: int = 1,
    forwards: int = 1,
    backwards: int = 1,
    host: Mapping[str, Any] | str | None = None,
    stragglers: Mapping[str, Any] | str | None = None,
    failures: Mapping[str, Any] | str | None = None,
    framework: str | None = None,
    resolution: int | None = None,
) -> Training:
    """One step of training: `global_batch` sequences of `sequence` tokens, Adam and bf16 products.

    `tp` to `recompute`, and `micro_batch` (1), are those of an execution
    (`hwmodel.spine.execution`); with `devices`, dp is what is left of them. `layers` are those of
    each stage of a pipeline (of each chunk, with vp), in the order of the model; `vocabulary`
    "stages" divides embedding and head over all stages (default: they are on its ends). `zero` is
    ZeRO's stage (3: weights are divided too, as FSDP does), `recompute` what the backward pass
    computes again: none, selective (attention's scores; with zero 3 torch's choice by operation),
    full, or reversible (inputs of layers are found again from what they made), of the first
    `recompute_layers` of each stage (of each chunk; default: of all); `loss` "fused" one that a
    compiler makes of 16-bit logits. `adapters` is the rank of low-rank adapters (LoRA), or says
    others ("bottleneck:width=48", "fusion:sources=8", "scaled:sources=8,each=number,shared=true";
    `adapted`): they are trained alone beside weights in the format `frozen` (default: 16 bits;
    nf4: QLoRA). `sampled` is the share of rows that gradients of weights are summed over
    (WTA-CRS).

    `gradient_dtype` is the format of gradients where they are summed and exchanged, `copy_dtype`
    of the copy of weights that the optimiser changes ("none": there is none), `state_dtype` of what
    it keeps (fp32, or 8 bits as of "adamw-8bit").

    `dispatch` says how tokens go to their experts: "once" to each device (DeepEP, the default) or
    by "all-to-all", one for each expert; `overlap` "two-batch", that this runs beside another
    micro-batch's kernels; `async_tp` with zero 3 whether tp's exchanges run beside their products;
    `graphs` whether CUDA graphs spare the passes their launches (default: of models without
    experts); `scales` what a factor of fp8 is for, a "tensor" or each "row"; `mtp` how many modules
    predict further tokens (default: what the config says). `host` says what lies
    in a host, "holds=optimizer+weights,rate=25GB/s" or a table (`hwmodel.spine.host`). `every`
    is of second-order optimisers (kfac, mkor): steps after which factors are made anew. `forwards`
    and `backwards` are passes of each sequence: 2 and 2 (SAM), 2 and 0 (zeroth order, MeZO).
    `stragglers` are replicas that slow down at times, "slows=0.01,recovers=0.5,times=2", and what
    is coded against them (`hwmodel.spine.stragglers`); `failures` those of devices,
    "mtbf=50000h,restart=10min,checkpoint=1min" (`hwmodel.spine.failures`). `framework`
    (megatron-core, megatron-bridge, torchtitan, fsdp) is whose defaults hold where nothing is said.

    Of a network on images (its name, such as resnet50, or a file of layers) `global_batch` counts
    these, and there is no `sequence`; `resolution` is their side. Replicas alone divide it, each
    with all its images in one pass where no `micro_batch` is said.

    Raises `InputError` naming the argument at fault.
    """
    how = {
        **{"tp": tp, "sp": sp, "cp": cp, "ep": ep, "etp": etp, "dp": dp, "pp": pp, "vp": vp},
        **{"layers": layers, "schedule": schedule, "zero": zero, "recompute": recompute},
        **{"recompute_layers": recompute_layers, "vocabulary": vocabulary},
        **{"dispatch": dispatch, "overlap": overlap},
    }
    if is_network(config):
        learning: Any = mapped(str(config), resolution, wide_of(dtype))
        if sequence not in (None, 1):
            raise InputError(
                f"training: sequence: expected none, since {config} reads images; found {sequence}"
            )
    elif resolution is not None:
        raise InputError(f"training: resolution: expected none, since {shown(config)} reads tokens")
    else:
        learning = _model(config, wide_of(dtype))
        if sequence is None:
            raise InputError("training: sequence: expected tokens of each sequence, found none")
    return trained(
        learning,
        1 if sequence is None else sequence,
        global_batch,
        micro_batch=micro_batch,
        devices=devices,
        dtype=dtype,
        optimizer=optimizer,
        gradient_dtype=gradient_dtype,
        copy_dtype=copy_dtype,
        state_dtype=state_dtype,
        attention=attention,
        dropout=dropout,
        loss=loss,
        adapters=adapters,
        frozen=frozen,
        sampled=sampled,
        async_tp=async_tp,
        graphs=graphs,
        scales=scales,
        mtp=mtp,
        every=every,
        forwards=forwards,
        backwards=backwards,
        host=host,
        stragglers=stragglers,
        failures=failures,
        framework=framework,
        **how,
    )


def _model(config: Any, activation: str) -> Model:
    """The model of a config; `UnknownNameError` tells networks on images too."""
    try:
        return model(config, dtype=activation)
    except UnknownNameError as error:
        if error.name != str(config):
            raise
        known = (*error.known, *names())
        told = "`hwmodel models` lists models; networks on images are such as resnet50 and unet3d"
        raise UnknownNameError("model or network", config, known, listed=told) from None
