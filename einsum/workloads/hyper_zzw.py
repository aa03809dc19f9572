"""A global convolution whose kernel a small network makes of coordinates (HyperZZW).

A coordinate MLP makes a kernel of the size of the map for each channel, once for all images; each
image is multiplied by it, element by element, and convolved with it, channel by channel, by Fourier
transforms of rows and columns: of n places these are n log2(n) / 2 butterflies, as of one transform
of n points (`fft.py`). Two real maps are one complex transform. `padded`, a map has as many zeros
beside it on each side of a transform, so that it does not wrap around. Of the system no paper was
read: it is told so in a survey.
"""

from typing import Any

from hwmodel.einsum.cascade import Cascade, Stage
from hwmodel.einsum.network import Stack
from hwmodel.einsum.notation import parse
from hwmodel.einsum.origin import Origin
from hwmodel.einsum.workloads.fft import fft
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.rows import activation
from hwmodel.einsum.workloads.workload import count, formats, whole
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount

_WEIGHED = "Y[b, p, c] = X[b, p, c] * K[p, c]"
_FILTERED = """
output YR, YI
YR[b, c, n] = XR[b, c, n] * KR[c, n] - XI[b, c, n] * KI[c, n]
YI[b, c, n] = XR[b, c, n] * KI[c, n] + XI[b, c, n] * KR[c, n]
"""


@checked
def hyper_zzw(
    batch: Amount,
    channels: Amount,
    side: int,
    hidden: Amount = 64,
    layers: int = 3,
    padded: bool = True,
    dtype: str = "fp32",
    name: str = "hyper_zzw",
) -> Stack:
    """All kernels of a layer on maps of `side` x `side`, a power of two, with `layers` products.

    Raises `InputError` naming the argument at fault.
    """
    arguments: dict[str, Any] = {**locals()}
    given = whole("hyper_zzw", batch=batch, channels=channels, hidden=hidden)
    kind = formats("hyper_zzw", dtype=dtype)["dtype"]
    edge, products = count("hyper_zzw", "side", side), count("hyper_zzw", "layers", layers)
    if edge < 2 or edge & (edge - 1):
        raise InputError(f"hyper_zzw: side: expected a power of two of 2 or more, found {side}")
    images, maps, width = given["batch"], given["channels"], given["hidden"]
    points, spectrum = edge**2, (2 * edge if padded else edge) ** 2
    pairs = ceil_div(maps, 2)
    made = {
        **_kernel(points, maps, width, products, kind),
        "kernel transform": fft(spectrum, pairs, kind, "kernel transform"),
        "weighed": _parsed(_WEIGHED, {"b": images, "p": points, "c": maps}, kind, "weighed"),
        "transform": fft(spectrum, images * pairs, kind, "transform"),
        "filtered": _parsed(
            _FILTERED, {"b": images, "c": pairs, "n": spectrum}, kind, "spectrum product"
        ),
        "inverse": fft(spectrum, images * pairs, kind, "inverse transform"),
    }
    stages = tuple(Stage(cascade, role=role) for role, cascade in made.items())
    return Stack(name, stages, Origin("hyper_zzw", arguments, hyper_zzw))


def _kernel(
    points: int, channels: Amount, width: Amount, products: int, dtype: str
) -> dict[str, Cascade]:
    """The coordinate MLP: from two coordinates of each place to an element for each channel."""
    made: dict[str, Cascade] = {}
    for at in range(products):
        last = at == products - 1
        inputs, outputs = (2 if at == 0 else width), (channels if last else width)
        name = f"kernel product {at + 1}"
        made[name] = gemm(points, outputs, inputs, dtype=dtype, out_dtype=dtype, name=name)
        if not last:
            act = f"kernel activation {at + 1}"
            made[act] = activation("gelu", points, outputs, dtype, act)
    return made


def _parsed(text: str, sizes: dict[str, Amount], dtype: str, name: str) -> Cascade:
    return parse(text, sizes=sizes, dtypes={"*": dtype}, name=name)
