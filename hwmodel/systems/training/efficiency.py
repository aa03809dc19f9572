"""How much longer kernels take in steps of training than alone: fitted to published steps.

It holds what no part of the model says: gaps between kernels, kernels that share a device with
exchanges, libraries that are not those that were measured. Two kinds of software are told apart by
how they divide weights: FSDP of torch (ZeRO's stages 2 and 3) and Megatron's (0 and 1). There is
one number for each software, device and format:

    fsdp       llm-foundry's MPT and torchtitan's Llama 3.1; on Blackwell Megatron-Bridge's FSDP
    megatron   Megatron-Bridge's performance summaries and MLPerf Training 5.0 and 5.1, of whose
               adapters (LoRA of Llama 2 70B) there is a number of its own, on AMD's devices too

Attention is by cuDNN on Blackwell and under Megatron on Hopper, else by FlashAttention-2's kernels,
at the share of their rate that FSDP's steps of 512 to 65,536 tokens show.

Fitted by `hwmodel.validation.training_fit`, which tells the errors of configurations left out. The
numbers that are not of a device (launches, scans, what exchanges leave exposed, hide and slow) were
found one by one on a grid, twice around, with the shares fitted anew at each point and all rows in
sight but llm-foundry's, which know none of them; from start to end the mean error fell from 6.6 to
6.4 %, so that none of them matters much. What has no number of its own takes the nearest
(`nearest`), else 1. Above 1 stand devices whose kernels' priors are slower than the kernels that
steps show.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from hwmodel.einsum.workloads.training_step import BESIDE
from hwmodel.spine.estimate import UNKNOWN

Key: TypeAlias = tuple[str, str, str]
"""Software, device, format of products."""
GENERATIONS: Mapping[str, str] = {
    **dict.fromkeys(("a100", "a100-40gb"), "ampere"),
    **dict.fromkeys(("h100", "h200", "h800"), "hopper"),
    **dict.fromkeys(("b200", "b300", "gb200", "gb300"), "blackwell"),
    **dict.fromkeys(("mi300x", "mi325x"), "cdna3"),
    **dict.fromkeys(("mi350x", "mi355x"), "cdna4"),
}
"""Devices whose steps were fitted, or may be -> their generation."""

FITTED: Mapping[Key, float] = {
    ("fsdp", "a100", "bf16"): 0.898,
    ("fsdp", "a100-40gb", "bf16"): 0.874,
    ("fsdp", "gb200", "fp8"): 0.863,
    ("fsdp", "gb300", "fp8"): 1.04,
    ("fsdp", "h100", "bf16"): 0.816,
    ("fsdp", "h100", "fp8"): 0.9,
    ("fsdp", "h100", "fp8 by row"): 0.694,
    ("fsdp", "h200", "fp8"): 0.965,
    ("megatron", "b200", "bf16"): 0.706,
    ("megatron", "b200", "fp8"): 0.893,
    ("megatron", "b200", "fp8 beside adapters"): 0.985,
    ("megatron", "b200", "nvfp4"): 0.852,
    ("megatron", "b200", "nvfp4 beside adapters"): 0.761,
    ("megatron", "b300", "bf16"): 0.774,
    ("megatron", "b300", "fp8"): 0.943,
    ("megatron", "b300", "fp8 beside adapters"): 1.14,
    ("megatron", "b300", "nvfp4"): 1.09,
    ("megatron", "gb200", "bf16"): 0.629,
    ("megatron", "gb200", "fp8"): 0.923,
    ("megatron", "gb200", "fp8 beside adapters"): 0.975,
    ("megatron", "gb200", "nvfp4"): 0.9,
    ("megatron", "gb200", "nvfp4 beside adapters"): 1.01,
    ("megatron", "gb300", "bf16"): 0.763,
    ("megatron", "gb300", "fp8"): 1.11,
    ("megatron", "gb300", "fp8 beside adapters"): 1.32,
    ("megatron", "gb300", "nvfp4"): 1.0,
    ("megatron", "h100", "bf16"): 0.562,
    ("megatron", "h100", "fp8"): 1.03,
    ("megatron", "h100", "fp8 beside adapters"): 1.07,
    ("megatron", "h200", "fp8 beside adapters"): 0.898,
    ("megatron", "mi300x", "fp8 beside adapters"): 0.809,
    ("megatron", "mi325x", "fp8 beside adapters"): 1.03,
    ("megatron", "mi350x", "fp8 beside adapters"): 1.11,
    ("megatron", "mi355x", "fp8 beside adapters"): 1.22,
}
"""(software, device, format of products) -> kernels' seconds alone over those in a step."""

ATTENTION: Mapping[str, float] = {"flash-attention-2": 1 / 1.5, "cudnn": 1.0}
"""Library of attention -> the same of its kernels, on top."""
SCAN_SHARE = 0.2
"""The same of recurrences' kernels, forward and backward, whose rates are priors: as steps of
Nemotron 3 Nano show on five devices."""

EXPOSED: Mapping[str, Mapping[str, float]] = {
    "fsdp": {},
    "megatron": {"hopper": 0.4, "blackwell": 0.4},
}
"""Software -> by generation of GPUs: share of tp's exchanges that products do not hide; elsewhere
all are exposed."""

LIBRARIES: Mapping[str, Mapping[str, str]] = {
    "fsdp": {"blackwell": "cudnn"},
    "megatron": {"hopper": "cudnn", "blackwell": "cudnn"},
}
"""Software -> library of attention by generation of GPUs; elsewhere FlashAttention-2."""

MAPS = "maps"
"""What runs a network of maps: torch, one kernel after the other, channels last."""
TOLD = {MAPS: "networks of maps"}
"""Software -> for people."""

LAUNCH_S: Mapping[str, Mapping[str, float]] = {
    "fsdp": {},
    "megatron": {"hopper": 180e-6, "blackwell": 130e-6},
    MAPS: {"": 45e-6},
}
"""Software -> by generation of GPUs: seconds in which the host launches a kernel, and those that
stand for none here (casts, copies, sums of squares), without graphs; as mixtures of one sequence a
micro-batch show, which take as long as those of two. Of networks of maps, of any
generation: eager torch under autocast took 43 to 61 (DenseNet-121, SE-ResNet-50, ResNet-50 of 64
images; torch 2.11 on the host of an H200, 2026-11-30)."""
EXPERT_LAUNCHES = 0.2
"""Of those seconds, what each further expert of a product takes: a library launches it, no
framework."""

INTERVALS: Mapping[str, tuple[float, float]] = {
    "fsdp": (0.888, 1.16),
    "megatron": (0.83, 1.29),
}
"""Software -> multiples of a predicted step's seconds between which 90 % of published ones lie, of
configurations that the fit left out. Errors of a step's kernels go together, so that the interval
is that of steps, not a sum over kernels. Of devices that no step was published of it is not known.
"""


@dataclass(frozen=True)
class Software:
    """What runs a step: shares of kernels' rates alone, attention's library, where it is from."""

    share: float
    attention_share: float
    attention: str
    exposed: float
    source: str
    launch_s: float = 0.0
    interval: tuple[float, float] = UNKNOWN
    """Multiples of a step's seconds between which 90 % of measured ones lie."""
    together: bool = False
    """Whether tp's exchanges run part by part beside parts of their products."""
    ahead: bool = False
    """Whether a host that launches kernels runs ahead of them over all layers, not over each."""


def named(zero: int, maps: bool = False) -> str:
    """Whose numbers hold for a stage of ZeRO, or a network of maps."""
    return MAPS if maps else "fsdp" if zero >= 2 else "megatron"


def nearest(found: Mapping[Key, float], key: Key, generation: str | None) -> Key | None:
    """Of what was found, what stands for a key that was not, of the same software.

    The same format on a device of the same generation, else without adapters on the same device,
    else another format on it. Of several the middle one.
    """
    name, device, precision = key
    mine = [each for each in found if each[0] == name]
    for alike in (
        [e for e in mine if e[2] == precision and GENERATIONS.get(e[1]) == generation],
        [e for e in mine if e[1] == device and e[2] == precision.removesuffix(BESIDE)],
        [e for e in mine if e[1] == device],
    ):
        if alike:
            return sorted(alike, key=lambda each: found[each])[(len(alike) - 1) // 2]
    return None


def software(
    name: str, device: str, generation: str | None, precision: str, *, together: bool = False
) -> Software:
    """What runs a step on a device in a format; `together`: tp's exchanges beside products."""
    library = LIBRARIES.get(name, {}).get(generation or "", "flash-attention-2")
    what = f"{TOLD.get(name, name)} on {device} in {precision}"
    found = FITTED.get((name, device, precision))
    told = f"training: kernels as {what}, fitted to published steps"
    if found is None:
        near = nearest(FITTED, (name, device, precision), generation)
        told = f"training: no published step was fitted of {what}: kernels as they are alone"
        if near is not None:
            found = FITTED[near]
            told = f"training: no published step was fitted of {what}; as on {near[1]} in {near[2]}"
    share, exposed = found or 1.0, EXPOSED.get(name, {}).get(generation or "", 1.0)
    interval = UNKNOWN if found is None else INTERVALS[name]
    launches = LAUNCH_S.get(name, {})
    launch_s = launches.get(generation or "", launches.get("", 0.0))
    parted = together and name == "fsdp"
    own = (share, ATTENTION[library], library, exposed, told, launch_s, interval, parted)
    return Software(*own, ahead=name == MAPS)
