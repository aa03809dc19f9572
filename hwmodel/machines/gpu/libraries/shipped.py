"""The libraries that are shipped, and which library runs what when a user asks for `kernel`.

`kernel` is the name of a shipped library ("cudnn"), an importable name of any ("module:NAME"), a
file's ("./mine.py", "./mine.py:NAME"), a `Library`, or a choice by family, {"attention": "cudnn",
"gemm": MINE}, as text "attention=cudnn,gemm=module:MINE"; families that a choice does not name are
torch's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from hwmodel.hardware.calibration import Calibration, Family, lent
from hwmodel.machines.gpu.libraries.importable import imported
from hwmodel.machines.gpu.libraries.library import Kernel, Library
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.lazily import Lazily
from hwmodel.quantity.listed import listed
from hwmodel.quantity.printable import shown

MADE = (
    ("hwmodel.machines.gpu.libraries.cublas", "cublas"),
    ("hwmodel.machines.gpu.libraries.cublas_fast_accum", "cublas-fast-accum"),
    (
        "hwmodel.machines.gpu.libraries.cublas_row_scales",
        "cublas-row-scales cublas-row-scales-fast-accum",
    ),
    ("hwmodel.machines.gpu.libraries.weight_only", "weight-only"),
    ("hwmodel.machines.gpu.libraries.cusparselt", "cusparselt cusparselt:8-bit"),
    ("hwmodel.machines.gpu.libraries.flash_attention_2", "flash-attention-2"),
    ("hwmodel.machines.gpu.libraries.flash_attention_4", "flash-attention-4 cudnn:tensor-memory"),
    ("hwmodel.machines.gpu.libraries.cudnn", "cudnn"),
    ("hwmodel.machines.gpu.libraries.quantised", "quantised"),
    ("hwmodel.machines.gpu.libraries.latent_attention", "latent-attention"),
    ("hwmodel.machines.gpu.libraries.efficient_attention", "efficient-attention"),
    ("hwmodel.machines.gpu.libraries.block_sparse", "block-sparse"),
    ("hwmodel.machines.gpu.libraries.recurrences", "recurrences"),
    ("hwmodel.machines.gpu.libraries.torch", "torch"),
    ("hwmodel.machines.gpu.libraries.torch_row_scales", "torch-row-scales"),
    ("hwmodel.machines.gpu.libraries.triton", "triton"),
    ("hwmodel.machines.gpu.libraries.vllm", "vllm vllm:cutlass vllm:narrow-cache"),
    ("hwmodel.machines.gpu.libraries.linear_layers", "vllm:deep-gemm"),
    ("hwmodel.machines.gpu.libraries.deep_experts", "deep-gemm"),
    ("hwmodel.machines.gpu.libraries.sglang", "sglang"),
    ("hwmodel.machines.gpu.libraries.trtllm", "trtllm"),
    (
        "hwmodel.machines.gpu.libraries.linear_layers",
        "vllm:fp8 vllm:fp8-block vllm:nvfp4 sglang:fp8 sglang:fp8-block sglang:nvfp4 trtllm:fp8"
        " trtllm:fp8-block trtllm:nvfp4 trtllm:int8 trtllm:weight-only",
    ),
    ("hwmodel.machines.gpu.libraries.matmul_ogs", "matmul-ogs"),
    (
        "hwmodel.machines.gpu.libraries.paged_attention",
        "vllm:flash-attention-2 vllm:flashinfer-fp8 vllm:flash-attention-3"
        " vllm:flash-attention-3-fp8 vllm:trtllm-gen vllm:trtllm-gen-fp8"
        " vllm:triton-attention-fp8 trtllm:attention"
        " trtllm:attention-fp8 trtllm:attention-e4m3 trtllm:latent-attention"
        " trtllm:latent-attention-fp8",
    ),
    (
        "hwmodel.machines.gpu.libraries.engine_experts",
        "vllm:experts vllm:scaled-experts vllm:experts-fp8-block vllm:experts-nvfp4"
        " vllm:experts-cutlass vllm:experts-marlin vllm:experts-mxfp4 vllm:experts-fp8-mxfp4"
        " vllm:experts-narrow trtllm:experts trtllm:experts-nvfp4 trtllm:experts-mxfp4"
        " trtllm:experts-fp8-mxfp4 trtllm:experts-narrow",
    ),
)
"""Module, and the libraries that it makes, in the order of fits, reports and lists."""


def _made(module: Any, name: str) -> Library:
    """The library of a name among those that a module holds, alone or several together."""
    every: list[Any] = []
    for held in cast(dict[str, Any], module.__dict__).values():
        every += cast(Sequence[Any], held) if isinstance(held, tuple) else [held]
    return next(each for each in every if isinstance(each, Library) and each.name == name)


SHIPPED: Mapping[str, Library] = Lazily(
    {name: f"{module}:{name}" for module, names in MADE for name in names.split()},
    _made,
)
"""Name -> library; its module is loaded when it is first asked for."""

DEFAULT = SHIPPED["torch"]

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "attention": ("prefill", "decode", "backward"),
    "convolution": ("convolution", "filters"),
    **{
        name: (name,)
        for name in (
            "gemm",
            "stencil",
            "pool",
            "scatter",
            "gather",
            "sort",
            "cumulative",
            "grouped",
            "rows",
            "reduction",
            "prefill",
            "decode",
            "backward",
            "scan",
            "nearest",
            "monarch",
            "gradients",
        )
    },
}
"""What a choice may name -> the schedules that it means."""


@dataclass(frozen=True, eq=False)
class Pick:
    """Which library runs a schedule: those to try for the formats at hand, the first if none can.

    `asked` says that the user named the first itself, not a stack that calls it.
    """

    libraries: tuple[Library, ...]
    asked: bool


def library(name: str) -> Library:
    """A shipped library by name, any by "module:NAME" or "file.py:NAME" (`importable`).

    Raises `UnknownNameError`, `InputError`.
    """
    if name in SHIPPED:
        return SHIPPED[name]
    if ":" not in name and not name.endswith(".py"):
        raise UnknownNameError("kernel", name, SHIPPED)
    found = imported(name)
    if not isinstance(found, Library):
        raise InputError(f"kernel {name!r}: expected a Library, found {shown(found)}")
    return found


@listed(library)
def libraries() -> tuple[str, ...]:
    """Names of the shipped kernel libraries; behind a dot each is a library, `libraries.cudnn`."""
    return tuple(SHIPPED)


def is_known(name: str) -> bool:
    """Whether a library of that name is shipped or can be imported."""
    try:
        library(name)
    except (InputError, UnknownNameError):
        return False
    return True


def picks(kernel: Kernel) -> Mapping[str, Pick]:
    """Schedule -> which library runs it, for what a user asked for."""
    if kernel is None or isinstance(kernel, str):
        return _named(kernel or DEFAULT.name)
    if isinstance(kernel, Library):
        return _of(kernel)
    if isinstance(kernel, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        return _chosen(kernel)
    raise InputError(
        "kernel: expected a library, the name of one, or a table of them by family"
        f" ({', '.join(FAMILIES)}), found {shown(kernel)}"
    )


@lru_cache(maxsize=256)
def _named(text: str) -> Mapping[str, Pick]:
    return _chosen(parsed(text)) if "=" in text else _of(library(text))


def parsed(text: str) -> dict[str, str]:
    """A choice by family from text such as "attention=cudnn,gemm=triton"."""
    found: dict[str, str] = {}
    for part in text.split(","):
        family, equals, name = (word.strip() for word in part.partition("="))
        if not (family and equals and name):
            raise InputError(f"kernel {text!r}: expected family=library, found {part!r}")
        if family in found:
            raise InputError(f"kernel {text!r}: {family} is chosen twice")
        found[family] = name
    return found


def _chosen(choice: Mapping[str, str | Library]) -> Mapping[str, Pick]:
    """Torch's picks, with those of the families that a choice names in their place."""
    found = dict(_of(DEFAULT))
    for family, given in choice.items():
        if family not in FAMILIES:
            raise UnknownNameError("family of kernels", family, FAMILIES)
        theirs = _of(_value(given))
        for schedule in FAMILIES[family]:
            found.pop(schedule, None)
            if schedule in theirs:
                found[schedule] = theirs[schedule]
    return found


def _of(asked: Library) -> Mapping[str, Pick]:
    """What a library runs itself, and whom it calls for the rest."""
    own = {s: Pick((asked, *_instead(asked, s)), True) for s in asked.launches}
    called = {
        s: Pick((_value(other), *_instead(asked, s)), False) for s, other in asked.calls.items()
    }
    return called | own


def _instead(asked: Library, schedule: str) -> tuple[Library, ...]:
    return tuple(library(name) for name in asked.instead.get(schedule, ()))


def _value(given: str | Library) -> Library:
    if isinstance(given, Library):
        return given
    if not isinstance(given, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"kernel: expected a library or its name, found {shown(given)}")
    return library(given)


def by_row(schedule: str) -> dict[str, str]:
    """Library -> the one that runs its calls of a schedule on fp8 with a scale for each row."""
    return {
        name: each.by_row[schedule] for name, each in SHIPPED.items() if schedule in each.by_row
    }


def able(schedule: str) -> list[str]:
    """Names of shipped libraries that run a schedule, themselves or by calling another."""
    return [name for name, each in SHIPPED.items() if schedule in (*each.launches, *each.calls)]


def family_of(calibration: Calibration, name: str, of: Library | None = None) -> Family:
    """Parameters of "schedule:library": fitted, borrowed, the library's priors, or the schedule's.

    Priors of a library stand over those that it borrows.

    `of` is the library where it is not a shipped one.
    """
    known = calibration.families
    if name in known:
        return known[name]
    schedule, _, called = name.partition(":")
    asked = of or SHIPPED.get(called)
    if asked is not None and schedule in asked.borrows:
        found = lent(family_of(calibration, asked.borrows[schedule]))
        own = asked.priors.get(schedule)
        return found if own is None else found.over(own)
    if asked is not None and schedule in asked.priors:
        return asked.priors[schedule]
    return calibration.family(schedule)


def with_others(names: Iterable[str]) -> tuple[Library, ...]:
    """The shipped libraries, then those that importable names mean."""
    others = {name: library(name) for name in names if name not in SHIPPED and is_known(name)}
    return (*SHIPPED.values(), *others.values())
