"""Number formats: their width in bits and the name that hardware tables know them by.

Sizes are of the stored element; block scales of quantised formats are counted by whoever knows the
block (see `scale_bits`). Behind a tilde stands how many in each group along the sum are no zero:
`bf16~2:4` keeps two of each four, and where they stand, in 2 bits each. Sources: IEEE 754 (fp16,
fp32, fp64), bfloat16 (TensorFlow), OCP 8-bit floating point (e4m3, e5m2), OCP Microscaling v1.0
(mxfp4: 32-element blocks, one 8-bit scale), NVIDIA nvfp4 (16-element blocks, one 8-bit scale), nf4
(Dettmers et al., QLoRA, arXiv 2305.14314), 2:4 (Mishra et al., arXiv 2104.08378).
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown


@dataclass(frozen=True)
class DType:
    """One format: `bits` stored per element, plus `scale_bits` per block of `block` elements.

    Of a structured one `kept` in each `of` elements are stored, with their places.
    """

    name: str
    bits: int
    block: int = 1
    scale_bits: int = 0
    kept: int = 1
    of: int = 1

    @property
    def bytes_per_element(self) -> float:
        """Stored bytes per element, zeros too, with block scales and places of what is kept."""
        place_bits = (self.of - 1).bit_length()
        return ((self.bits + place_bits) * self.kept / self.of + self.scale_bits / self.block) / 8

    @property
    def base(self) -> str:
        """The element's own format, by which a table of rates knows it: int4 of int4@128:20."""
        return self.name.partition("~")[0].partition("@")[0]

    @property
    def structure(self) -> str:
        """What is kept of each group, as names have it: ~2:4; empty where all is."""
        return f"~{self.kept}:{self.of}" if self.of > 1 else ""


DTYPES: dict[str, DType] = {
    d.name: d
    for d in (
        DType("fp64", 64),
        DType("fp32", 32),
        DType("tf32", 32),
        DType("bf16", 16),
        DType("fp16", 16),
        DType("fp8", 8),
        DType("mxfp4", 4, block=32, scale_bits=8),
        DType("nvfp4", 4, block=16, scale_bits=8),
        DType("int32", 32),
        DType("int64", 64),
        DType("int16", 16),
        DType("int8", 8),
        DType("int7", 7),
        DType("int6", 6),
        DType("int5", 5),
        DType("int4", 4),
        DType("int3", 3),
        DType("int2", 2),
        DType("int1", 1),
        DType("fp6", 6),
        DType("fp4", 4),
        DType("nf4", 4),
        DType("bool", 8),
    )
}
ALIASES = {
    "float16": "fp16",
    "half": "fp16",
    "bfloat16": "bf16",
    "float32": "fp32",
    "float": "fp32",
    "float64": "fp64",
    "double": "fp64",
    "e4m3": "fp8",
    "e5m2": "fp8",
    "float8_e4m3fn": "fp8",
}


def dtype(name: str) -> DType:
    """Look a format up by its name or by a common alias; raises `UnknownNameError`.

    `int4@128:20` is int4 with 20 bits of scale (and zero point) for each block of 128 elements,
    `bf16~2:4` bf16 of which two in each four along the sum are no zero.
    """
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"dtype: expected a name such as 'bf16', found {shown(name)}")
    found = DTYPES.get(ALIASES.get(name, name)) or _with_scales(name) or _structured(name)
    if found is None:
        raise UnknownNameError("dtype", name, DTYPES)
    return found


@lru_cache(maxsize=256)
def _with_scales(name: str) -> DType | None:
    match = re.fullmatch(r"(\w+)@([1-9][0-9]{0,9}):([0-9]{1,9})", name)
    element = DTYPES.get(ALIASES.get(match[1], match[1])) if match else None
    if match is None or element is None:
        return None
    block, scale_bits = int(match[2]), int(match[3])
    return DType(f"{element.name}@{block}:{scale_bits}", element.bits, block, scale_bits)


@lru_cache(maxsize=256)
def _structured(name: str) -> DType | None:
    match = re.fullmatch(r"(.+)~([1-9][0-9]?):([1-9][0-9]?)", name)
    if match is None or not int(match[2]) < int(match[3]):
        return None
    plain = DTYPES.get(ALIASES.get(match[1], match[1])) or _with_scales(match[1])
    if plain is None:
        return None
    kept, of = int(match[2]), int(match[3])
    return replace(plain, name=f"{plain.name}~{kept}:{of}", kept=kept, of=of)


def bytes_of(name: str) -> int | float:
    """Stored bytes per element of a format, block scales included: an int where it is whole.

    >>> bytes_of("bf16")
    2
    """
    return _whole(dtype(name).bytes_per_element)


def element_bytes(name: str) -> int | float:
    """Bytes of one element alone, as rows of elements are laid out: scales lie elsewhere.

    >>> element_bytes("fp8@16384:32")
    1
    """
    found = dtype(name)
    return _whole(found.bits * found.kept / found.of / 8)


def base_of(name: str) -> str:
    """The element's own format, by which tables of rates and libraries know it."""
    return dtype(name).base


def _whole(size: float) -> int | float:
    return int(size) if size == int(size) else size


def structure_of(name: str) -> str:
    """What a format keeps of each group along the sum: ~2:4; empty where it keeps all.

    >>> structure_of("bf16~2:4")
    '~2:4'
    """
    return dtype(name).structure
