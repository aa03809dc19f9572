"""How much longer a training step's kernels take than the kernels alone: one number a GPU, format.

It holds what no part of the model says: gaps between kernels, kernels that share a device with
exchanges, libraries that are not those that were measured. Two kinds of software are told apart by
how they divide weights: FSDP of torch (ZeRO's stages 2 and 3) and Megatron's (0 and 1). 1 where
nothing was fitted.
"""

from collections.abc import Mapping

FITTED: Mapping[tuple[str, str, str], float] = {}
"""(software, device, format of products) -> kernels' seconds alone over those in a step."""


def software(zero: int) -> str:
    """Whose numbers hold."""
    return "fsdp" if zero >= 2 else "megatron"


def efficiency(zero: int, device: str, precision: str) -> tuple[float, str]:
    """The share, and where it is from."""
    found = FITTED.get((software(zero), device, precision))
    what = f"{software(zero)} on {device} in {precision}"
    if found is not None:
        return found, f"training: kernels take {1 / found:.2f} of their time alone, fitted: {what}"
    return 1.0, f"training: no step was fitted of {what}; kernels as they are alone"
