"""How much longer kernels take in steps of training than alone: fitted to published steps.

It holds what no part of the model says: gaps between kernels, kernels that share a device with
exchanges, libraries that are not those that were measured. Two kinds of software are told apart by
how they divide weights: FSDP of torch (ZeRO's stages 2 and 3) and Megatron's (0 and 1). There is
one number for each software, device and format, and one for the attention of each software:

    fsdp       llm-foundry's MPT and torchtitan's Llama 3.1; attention by FlashAttention-2's
               kernels, at the share of their rate that steps of 512 to 65,536 tokens show
    megatron   Megatron-Bridge's performance summaries and MLPerf Training 5.0 and 5.1; attention
               by cuDNN on Hopper and Blackwell

Fitted by `hwmodel.validation.training_fit`, which tells the errors of configurations left out. A
format that has none takes that of another on the same device; a device that has none takes 1. Above
1 stand devices whose kernels' priors are slower than the kernels that steps show.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hwmodel.spine.estimate import UNKNOWN

FITTED: Mapping[tuple[str, str, str], float] = {
    ("fsdp", "a100", "bf16"): 0.918,
    ("fsdp", "a100-40gb", "bf16"): 0.895,
    ("fsdp", "gb200", "fp8"): 1.24,
    ("fsdp", "gb300", "fp8"): 1.52,
    ("fsdp", "h100", "bf16"): 0.835,
    ("fsdp", "h100", "fp8"): 0.888,
    ("fsdp", "h200", "fp8"): 0.992,
    ("megatron", "b200", "bf16"): 0.741,
    ("megatron", "b200", "fp8"): 0.872,
    ("megatron", "b200", "nvfp4"): 0.806,
    ("megatron", "b300", "bf16"): 0.796,
    ("megatron", "b300", "fp8"): 0.881,
    ("megatron", "gb200", "bf16"): 0.715,
    ("megatron", "gb200", "fp8"): 0.888,
    ("megatron", "gb200", "nvfp4"): 0.867,
    ("megatron", "gb300", "bf16"): 0.811,
    ("megatron", "gb300", "fp8"): 1.09,
    ("megatron", "gb300", "nvfp4"): 1.05,
    ("megatron", "h100", "bf16"): 0.588,
    ("megatron", "h100", "fp8"): 1.03,
}
"""(software, device, format of products) -> kernels' seconds alone over those in a step."""

ATTENTION: Mapping[str, float] = {"fsdp": 1 / 1.5, "megatron": 1.0}
"""Software -> the same of attention's kernels, on top."""

EXPOSED: Mapping[str, Mapping[str, float]] = {
    "fsdp": {},
    "megatron": {"hopper": 0.25, "blackwell": 0.25},
}
"""Software -> by generation of GPUs: share of tp's exchanges that products do not hide; elsewhere
all are exposed. Of 1, 0.5 and 0.25 the one of the least error."""

LIBRARIES: Mapping[str, Mapping[str, str]] = {
    "fsdp": {},
    "megatron": {"hopper": "cudnn", "blackwell": "cudnn"},
}
"""Software -> library of attention by generation of GPUs; elsewhere FlashAttention-2."""


INTERVALS: Mapping[str, tuple[float, float]] = {
    "fsdp": (0.879, 1.16),
    "megatron": (0.755, 1.61),
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
    interval: tuple[float, float] = UNKNOWN
    """Multiples of a step's seconds between which 90 % of measured ones lie."""


def named(zero: int) -> str:
    """Whose numbers hold for a stage of ZeRO."""
    return "fsdp" if zero >= 2 else "megatron"


def software(zero: int, device: str, generation: str | None, precision: str) -> Software:
    """What runs a step on a device in a format."""
    name = named(zero)
    library = LIBRARIES[name].get(generation or "", "flash-attention-2")
    what = f"{name} on {device} in {precision}"
    found = FITTED.get((name, device, precision))
    told = f"training: kernels as {what}, fitted to published steps"
    if found is None:
        others = {key[2]: each for key, each in FITTED.items() if key[:2] == (name, device)}
        nearest = next(iter(others), None)
        told = f"training: no published step was fitted of {what}: kernels as they are alone"
        if nearest is not None:
            found = others[nearest]
            told = f"training: no published step was fitted of {what}; as in {nearest}"
    share, exposed = found or 1.0, EXPOSED[name].get(generation or "", 1.0)
    interval = UNKNOWN if found is None else INTERVALS[name]
    return Software(share, ATTENTION[name], library, exposed, told, interval)
