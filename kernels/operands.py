"""What every wrapper asks of its operands, and of the device that they live on.

A wrapper takes contiguous tensors and never copies: a hidden copy would be time that no model sees.
Operands whose rows are whole multiples of 16 bytes are read through tensor descriptors (Hopper's
tensor memory accelerator, compute capability 9.0 and later); others through pointers with masks.
Kernels are not specialised on sizes whose alignment changes no instruction, so that a new shape
seldom means a new compilation.
"""

# pyright: basic, reportMissingImports=false
# (torch and triton are not installed where types are checked)

import torch
import triton

from hwmodel.quantity.errors import InputError, UnknownNameError

DTYPE_NAMES = {
    torch.bfloat16: "bf16",
    torch.float16: "fp16",
    torch.float32: "fp32",
    torch.float8_e4m3fn: "fp8",
}
DESCRIPTOR_BYTES = 16
DESCRIPTOR_CAPABILITY = (9, 0)


def dtype_name(tensor: torch.Tensor) -> str:
    """The name of a tensor's format in `hwmodel.quantity.dtypes`."""
    if tensor.dtype not in DTYPE_NAMES:
        raise UnknownNameError("dtype of a kernel's operand", tensor.dtype, DTYPE_NAMES.values())
    return DTYPE_NAMES[tensor.dtype]


def dtype_of(name: str) -> torch.dtype:
    """The torch format of a name."""
    found = {known: kind for kind, known in DTYPE_NAMES.items()}
    if name not in found:
        raise UnknownNameError("dtype of a kernel's operand", name, found)
    return found[name]


def need(kernel: str, holds: bool, expected: str, found: object, remedy: str) -> None:
    """Raise `InputError` unless `holds`."""
    if not holds:
        raise InputError(f"{kernel}: expected {expected}, found {found}; {remedy}")


def need_contiguous(kernel: str, **tensors: torch.Tensor) -> None:
    """Refuse operands that are strided, empty or on different devices."""
    devices = {str(tensor.device) for tensor in tensors.values()}
    need(kernel, len(devices) == 1, "operands on one device", sorted(devices), "move them together")
    for name, tensor in tensors.items():
        if not tensor.is_contiguous():
            found = f"strides {tuple(tensor.stride())}"
            need(kernel, False, f"{name} contiguous", found, f"call {name}.contiguous() first")
        need(kernel, tensor.numel() > 0, f"{name} not empty", tuple(tensor.shape), "skip the call")


def describable(*tensors: torch.Tensor) -> bool:
    """Whether tensor descriptors can read all of these: rows and bases on 16 bytes, and Hopper."""
    device = tensors[0].device
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < DESCRIPTOR_CAPABILITY:
        return False
    return all(
        tensor.shape[-1] * tensor.element_size() % DESCRIPTOR_BYTES == 0
        and tensor.data_ptr() % DESCRIPTOR_BYTES == 0
        for tensor in tensors
    )


def processors(tensor: torch.Tensor) -> int:
    """Streaming multiprocessors of a tensor's device; 1 under the interpreter on a CPU."""
    if tensor.device.type != "cuda":
        return 1
    return torch.cuda.get_device_properties(tensor.device).multi_processor_count


def power_of_two(size: int, least: int = 16) -> int:
    """The least power of two that holds `size`, and is at least `least`."""
    return max(least, triton.next_power_of_2(size))
