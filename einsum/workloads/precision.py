"""Which format each part of a model is stored in: weights, keys and values, activations.

An argument wins over the config, with a warning where the two differ; absent, formats come from
`quantization_config` (`quantised.py`), then from `torch_dtype`, then bf16. A quantised format holds
for the linear layers of the decoder, but those that the checkpoint leaves out; embedding, router,
norms and biases keep the format of the activations, and so does the language-model head unless the
checkpoint says otherwise. Block scales count as bytes of the weight, under names such as
`int4@128:20` (see `hwmodel.quantity.dtypes`).
"""

from dataclasses import dataclass

from hwmodel.einsum.workloads.config import Config
from hwmodel.einsum.workloads.quantised import quantised
from hwmodel.quantity.dtypes import dtype as format_of
from hwmodel.quantity.errors import InputError

DEFAULT = "bf16"


@dataclass(frozen=True)
class Precision:
    """Formats by part; `linear` is what a quantised linear layer reads its input in.

    `kept` counts, by product of a layer, the layers in which it is not quantised; `head` says
    whether the language-model head is quantised too.
    """

    weight: str
    kv: str
    activation: str
    linear: str
    kept: tuple[tuple[str, int], ...] = ()
    head: bool = False

    def kept_in(self, product: str) -> int:
        """Layers in which a product is not quantised."""
        return dict(self.kept).get(product, 0)

    @property
    def unquantised(self) -> str:
        """Format of embedding, head, router, norms and biases."""
        return self.weight if format_of(self.weight).bits >= 16 else self.activation


def precision(
    config: Config,
    where: str,
    *,
    dtype: str | None = None,
    weight_dtype: str | None = None,
    kv_dtype: str | None = None,
    activation_dtype: str | None = None,
) -> tuple[Precision, tuple[str, ...]]:
    """Formats of a model, and warnings where an argument overrules its config.

    Raises `UnknownNameError` for a format that does not exist, `CoverageError` for a way of
    quantising that is not modelled.
    """
    stated = config.dtype or config.torch_dtype
    warnings: list[str] = []
    if stated is None:
        warnings.append(f"{where}: no torch_dtype; {DEFAULT} assumed")
    stored = _canonical(where, "torch_dtype", stated or DEFAULT)
    said = quantised(where, config, stored)
    weight, linear = said.weight, said.linear
    warnings += said.warnings
    found = {"weight": weight, "kv": said.kv or stored, "activation": stored}
    given = {"weight": weight_dtype, "kv": kv_dtype, "activation": activation_dtype}
    chosen: dict[str, str] = {}
    for part, present in found.items():
        asked = given[part] or dtype
        chosen[part] = _canonical("model", f"{part}_dtype", asked) if asked else present
        if chosen[part] != present and (stated is not None or part == "weight" != stored):
            warnings.append(
                f"{where}: {part} format {present} overruled by the argument {chosen[part]}"
            )
    follows = chosen["weight"] == weight and chosen["activation"] == stored
    linear = linear if follows else chosen["activation"]
    if linear != chosen["activation"]:
        warnings.append(
            f"{where}: linear layers read {linear}; the kernels that quantise to it are left out"
        )
    if format_of(chosen["activation"]).bits < 16:
        warnings.append(
            f"{where}: activations are taken as stored in {chosen['activation']} between kernels"
        )
    same = chosen["weight"] == weight
    kept, head = (said.kept, said.head) if same else ((), False)
    formats = Precision(chosen["weight"], chosen["kv"], chosen["activation"], linear, kept, head)
    return formats, tuple(warnings)


def _canonical(where: str, key: str, name: str) -> str:
    try:
        return format_of(name).name
    except InputError as error:
        raise InputError(f"{where}: {key}: {error}") from None
