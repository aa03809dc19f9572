"""The engines that are shipped, by name."""

from collections.abc import Mapping

from hwmodel.machines.gpu.engines.engine import Engine
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.lazily import Lazily
from hwmodel.quantity.listed import listed
from hwmodel.quantity.printable import shown

ENGINES: Mapping[str, Engine] = Lazily(
    {
        "vllm": "hwmodel.machines.gpu.engines.vllm:ENGINE",
        "sglang": "hwmodel.machines.gpu.engines.sglang:ENGINE",
        "trtllm": "hwmodel.machines.gpu.engines.trtllm:ENGINE",
        "transformers": "hwmodel.machines.gpu.engines.transformers:ENGINE",
    }
)

PLAIN = "torch"
"""The plain stack that runs where no engine is asked for."""


def engine(asked: str | Engine | None) -> Engine | None:
    """An engine by name or as it is; None for the plain stack. Raises `UnknownNameError`."""
    if asked is None or isinstance(asked, Engine):
        return asked
    if not isinstance(asked, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"engine: expected a name, found {shown(asked)}")
    if asked == PLAIN:
        return None
    if asked not in ENGINES:
        raise UnknownNameError("engine", asked, (PLAIN, *ENGINES))
    return ENGINES[asked]


@listed(lambda name: ENGINES[name])
def engines() -> tuple[str, ...]:
    """Names of the engines that run whole models; behind a dot each is an engine."""
    return tuple(ENGINES)
