"""Fused kernels as calls: ours by their tiles, and what they replace in torch.

Columns are those of `fused_shapes`. Each first set of inputs is checked against float64, whole or
by a part that stands for it; the row says `relative_error`, ||out - reference|| / ||reference||.
"""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F

from hwmodel.kernels import (
    chunk_scan,
    delta_rule,
    depthwise,
    fourier,
    kmeans,
    linear_attention,
    norm_quantise,
    rational,
)
from hwmodel.machines.gpu.schedules.cluster_sums import SumTile
from hwmodel.machines.gpu.schedules.grouped_gradients import GradientTile
from hwmodel.machines.gpu.schedules.monarch import MonarchTile
from hwmodel.machines.gpu.schedules.nearest import NearestTile
from hwmodel.machines.gpu.schedules.rows import RowTile
from hwmodel.machines.gpu.schedules.triton_scan import ChunkTile
from hwmodel.machines.gpu.schedules.windows import WindowTile
from hwmodel.quantity.errors import CoverageError
from hwmodel.validation.measure.arena import TORCH_DTYPE, Carver
from hwmodel.validation.measure.shapes import Case
from hwmodel.validation.measure.tiles import tile_of

CHECKED_TOKENS, CHECKED_ROWS, CHECKED_POINTS = 2048, 2048, 1 << 18
SKEW = 4
WRONG = 0.25
"""Relative error of a kernel that is no rounding's: of e4m3, the coarsest here, all counts."""
Call = Callable[[], Any]


def far(got: torch.Tensor, want: torch.Tensor) -> float:
    """||got - want|| / ||want|| in float64."""
    return float((got.double() - want.double()).norm() / want.double().norm())


def check(carver: Carver, error: Callable[[], float]) -> None:
    """Notes the error of the first set of inputs; `CoverageError` where a kernel computes nonsense.

    A compiler's fault makes a kernel that is fast and wrong: its time is no row.
    """
    if "relative_error" not in carver.facts:
        found = error()
        if not found < WRONG:
            raise CoverageError(f"the kernel is {found:.2g} off float64: a compiler's fault?")
        carver.note("relative_error", found)


def power_attention(case: Case, carver: Carver) -> Call:
    """Causal attention by 1 + s + s^2 / 2."""
    s = case.shape
    sizes = (s["batch"], s["heads"], s["tokens"])
    q, k, v = (carver.take(*sizes, s[w], dtype=case.dtype) for w in ("features",) * 2 + ("values",))
    tile, scale = tile_of(case, ChunkTile), s["features"] ** -0.5

    def error() -> float:
        part = [t[:1, :1, :CHECKED_TOKENS].contiguous() for t in (q, k, v)]
        want = linear_attention.reference(*(t.double() for t in part), scale=scale)
        return far(linear_attention.linear_attention(*part, tile=tile), want)

    check(carver, error)
    return lambda: linear_attention.linear_attention(q, k, v, tile=tile)


def scan(case: Case, carver: Carver) -> Call:
    """A recurrence with decays of up to a fifth a token."""
    s = case.shape
    sizes = (s["batch"], s["heads"], s["tokens"])
    q, k, v = (carver.take(*sizes, s[w], dtype=case.dtype) for w in ("state",) * 2 + ("values",))
    decay = -0.2 * torch.rand(*sizes, device=q.device)
    tile = tile_of(case, ChunkTile)

    def error() -> float:
        part = [t[:1, :1, :CHECKED_TOKENS].contiguous() for t in (q, k, v, decay)]
        want = chunk_scan.reference(*(t.double() for t in part))
        return far(chunk_scan.chunk_scan(*part, tile=tile), want)

    check(carver, error)
    return lambda: chunk_scan.chunk_scan(q, k, v, decay, tile=tile)


def corrected(case: Case, carver: Carver) -> Call:
    """The gated delta rule: keys of length one, decays of up to a fifth a token, any share."""
    s = case.shape
    sizes = (s["batch"], s["heads"], s["tokens"])
    q, k, v = (carver.take(*sizes, s[w], dtype=case.dtype) for w in ("state",) * 2 + ("values",))
    k = F.normalize(k, dim=-1)
    gate, beta = -0.2 * torch.rand(*sizes, device=q.device), torch.rand(*sizes, device=q.device)
    tile = tile_of(case, ChunkTile)

    def error() -> float:
        part = [t[:1, :1, :CHECKED_TOKENS].contiguous() for t in (q, k, v, gate, beta)]
        want = delta_rule.reference(*(t.double() for t in part))
        return far(delta_rule.delta_rule(*part, tile=tile), want)

    check(carver, error)
    return lambda: delta_rule.delta_rule(q, k, v, gate, beta, tile=tile)


def points(case: Case, carver: Carver) -> torch.Tensor:
    """Points to cluster."""
    return carver.take(case.shape["points"], case.shape["dimensions"], dtype=case.dtype)


def excess(x: torch.Tensor, c: torch.Tensor, labels: torch.Tensor) -> float:
    """How much further chosen centroids are than the nearest, over their distances."""
    x, c, labels = x[:CHECKED_ROWS].double(), c.double(), labels[:CHECKED_ROWS].long()
    near = torch.cdist(x, c).amin(-1)
    return far((x - c[labels]).norm(dim=-1), near)


def assignment(case: Case, carver: Carver) -> Call:
    """The nearest centroids."""
    x, tile = points(case, carver), tile_of(case, NearestTile)
    c = carver.take(case.shape["clusters"], case.shape["dimensions"], dtype=case.dtype)
    part = x[:CHECKED_ROWS]
    check(carver, lambda: excess(part, c, kmeans.assign(part, c, tile=tile)))
    return lambda: kmeans.assign(x, c, tile=tile)


def torch_assignment(case: Case, carver: Carver) -> Call:
    """The same with all distances in memory."""
    x = points(case, carver)
    c = carver.take(case.shape["clusters"], case.shape["dimensions"], dtype=case.dtype)
    if case.shape["form"] == "cdist":
        return lambda: torch.cdist(x.float(), c.float()).argmin(-1)
    return lambda: torch.addmm(c.square().sum(-1), x, c.t(), alpha=-2).argmin(-1)


def labelled(case: Case, carver: Carver) -> tuple[torch.Tensor, torch.Tensor]:
    """Points and their labels; notes the size of the largest cluster."""
    x, clusters = points(case, carver), case.shape["clusters"]
    drawn = torch.rand(len(x), device=x.device)
    drawn = drawn**SKEW if case.shape["skewed"] else drawn
    labels = (drawn * clusters).int().clamp_max(clusters - 1)
    carver.note("largest_cluster", float(torch.bincount(labels).max()))
    return x, labels


def cluster_sums(case: Case, carver: Carver) -> Call:
    """Sums and counts of clusters."""
    (x, labels), tile = labelled(case, carver), tile_of(case, SumTile)
    clusters = case.shape["clusters"]

    def error() -> float:
        part = (x[:CHECKED_POINTS], labels[:CHECKED_POINTS])
        want = kmeans.reference_sums(part[0].double(), part[1], clusters)
        got = kmeans.update(*part, clusters, tile=tile)
        return max(map(far, got, want))

    check(carver, error)
    return lambda: kmeans.update(x, labels, clusters, tile=tile)


def torch_sums(case: Case, carver: Carver) -> Call:
    """The same by two scatters."""
    x, labels = labelled(case, carver)
    clusters, ones = case.shape["clusters"], torch.ones(len(x), device=x.device)

    def call() -> Any:
        sums = torch.zeros(clusters, x.shape[1], device=x.device)
        counts = torch.zeros(clusters, device=x.device)
        return sums.index_add_(0, labels, x.float()), counts.index_add_(0, labels, ones)

    return call


@lru_cache(maxsize=1)
def filters(channels: int, length: int, dtype: str, device: str) -> torch.Tensor:
    """Filters whose sums stay near one."""
    drawn = torch.randn(channels, length, device=device) / length**0.5
    return drawn.to(TORCH_DTYPE[dtype])


@lru_cache(maxsize=1)
def spectrum_of(channels: int, length: int, dtype: str, device: str) -> fourier.Spectrum:
    """Their transforms, kept from set to set as they are from step to step."""
    return fourier.spectrum(filters(channels, length, dtype, device), TORCH_DTYPE[dtype])


def signals(case: Case, carver: Carver) -> tuple[torch.Tensor, fourier.Pair | None]:
    """The input and its gates."""
    s = case.shape
    sizes = (s["batch"], s["channels"], s["length"])
    u = carver.take(*sizes, dtype=case.dtype)
    if not s["gated"]:
        return u, None
    return u, (carver.take(*sizes, dtype=case.dtype), carver.take(*sizes, dtype=case.dtype))


def fft_convolution(case: Case, carver: Carver) -> Call:
    """A long convolution by products."""
    s, tile = case.shape, tile_of(case, MonarchTile)
    u, gates = signals(case, carver)
    given = (s["channels"], s["length"], case.dtype, str(u.device))
    of = spectrum_of(*given)

    def error() -> float:
        k = filters(*given)[:1]
        few = [t[:2, :1].contiguous() for t in (u, *(gates or ()))]
        want = fourier.reference(few[0].double(), k.double(), *(t.double() for t in few[1:]))
        pair = (few[1], few[2]) if gates else None
        got = fourier.convolve(few[0], fourier.spectrum(k, u.dtype), gates=pair, tile=tile)
        return far(got, want)

    check(carver, error)
    return lambda: fourier.convolve(u, of, gates=gates, tile=tile)


def torch_fft(case: Case, carver: Carver) -> Call:
    """The same by real transforms in fp32."""
    s, (u, gates) = case.shape, signals(case, carver)
    k = filters(s["channels"], s["length"], case.dtype, str(u.device))
    of, n = torch.fft.rfft(k.float()), s["length"]

    def call() -> torch.Tensor:
        given = u if gates is None else u * gates[0]
        y = torch.fft.irfft(torch.fft.rfft(given.float()) * of, n).to(u.dtype)
        return y if gates is None else y * gates[1]

    return call


def ratio(case: Case, carver: Carver) -> tuple[torch.Tensor, ...]:
    """x, its gradient and the coefficients."""
    s = case.shape
    x, gradient = (carver.take(s["rows"], s["cols"], dtype=case.dtype) for _ in range(2))
    above = torch.randn(s["groups"], rational.ABOVE, device=x.device)
    below = torch.randn(s["groups"], rational.BELOW, device=x.device)
    return x, gradient, above, below


def rational_backward(case: Case, carver: Carver) -> Call:
    """Gradients of a rational function."""
    given, tile = ratio(case, carver), tile_of(case, GradientTile)

    def error() -> float:
        x, gradient, *coefficients = given
        part = (x[:CHECKED_ROWS], gradient[:CHECKED_ROWS], *coefficients)
        want = rational.reference_backward(*(t.double() for t in part))
        return max(map(far, rational.backward(*part, tile=tile), want))

    check(carver, error)
    return lambda: rational.backward(*given, tile=tile)


def torch_rational(case: Case, carver: Carver) -> Call:
    """The same by autograd, an elementwise kernel after the other; forward is run once, before."""
    x, gradient, *coefficients = ratio(case, carver)
    leaves = [t.detach().requires_grad_() for t in (x, *coefficients)]
    out = rational.reference(*leaves)
    return lambda: torch.autograd.grad(out, leaves, gradient, retain_graph=True)


def image(case: Case, carver: Carver) -> tuple[torch.Tensor, torch.Tensor, depthwise.Sides]:
    """An image, windows and padding."""
    s = case.shape
    x = carver.take(s["batch"], s["height"], s["width"], s["channels"], dtype=case.dtype)
    w = carver.take(s["tall"], s["wide"], s["channels"], dtype=case.dtype)
    return x, w, (s["above"], s["below"], s["left"], s["right"])


def depthwise_windows(case: Case, carver: Carver) -> Call:
    """Each channel by its own window."""
    (x, w, padding), tile = image(case, carver), tile_of(case, WindowTile)
    given = {"stride": case.shape["stride"], "padding": padding}

    def error() -> float:
        part = x[:1, :, :CHECKED_ROWS].contiguous()
        want = depthwise.reference(part.double(), w.double(), **given)
        return far(depthwise.depthwise(part, w, tile=tile, **given), want)

    check(carver, error)
    return lambda: depthwise.depthwise(x, w, tile=tile, **given)


def torch_depthwise(case: Case, carver: Carver) -> Call:
    """The same by a grouped convolution in channels-last memory, cut where it is causal."""
    x, w, (above, below, left, right) = image(case, carver)
    pixels, window = x.movedim(-1, 1), w.movedim(-1, 0)[:, None].contiguous()
    stride, width = case.shape["stride"], x.shape[2]
    sides = (max(above, below), max(left, right))

    def call() -> torch.Tensor:
        y = F.conv2d(pixels, window, stride=stride, padding=sides, groups=w.shape[-1])
        return y if left == right else y[..., :width]

    return call


def matrices(case: Case, carver: Carver) -> tuple[torch.Tensor, ...]:
    """Activations, residual and weight of a norm."""
    s = case.shape
    x, residual = (carver.take(s["rows"], s["cols"], dtype=case.dtype) for _ in range(2))
    return x, residual, carver.take(s["cols"], dtype=case.dtype)


def normed(case: Case, carver: Carver) -> Call:
    """Residual, norm and e4m3."""
    given, tile = matrices(case, carver), tile_of(case, RowTile)

    def error() -> float:
        x, residual, w = given
        part = (x[:CHECKED_ROWS], residual[:CHECKED_ROWS], w)
        want = norm_quantise.reference(*(t.double() for t in part))
        return max(map(far, norm_quantise.norm_quantise(*part, tile=tile), want))

    check(carver, error)
    return lambda: norm_quantise.norm_quantise(*given, tile=tile)


def torch_normed(case: Case, carver: Carver) -> Call:
    """The same by torch's kernels one after the other."""
    x, residual, w = matrices(case, carver)

    def call() -> Any:
        h = x + residual
        y = F.rms_norm(h, (w.shape[0],), w)
        scale = y.abs().amax(-1, keepdim=True).float() / norm_quantise.LARGEST
        return h, (y / scale).to(torch.float8_e4m3fn), scale

    return call


CALLS: dict[str, Callable[[Case, Carver], Call]] = {
    "power_attention": power_attention,
    "chunk_scan": scan,
    "delta_rule": corrected,
    "kmeans_assignment": assignment,
    "kmeans_update": cluster_sums,
    "fft_convolution": fft_convolution,
    "rational_backward": rational_backward,
    "depthwise": depthwise_windows,
    "norm_quantise": normed,
}
"""Our kernels, by family."""

IN_TORCH: dict[str, Callable[[Case, Carver], Call]] = {
    "kmeans_assignment": torch_assignment,
    "kmeans_update": torch_sums,
    "fft_convolution": torch_fft,
    "rational_backward": torch_rational,
    "depthwise": torch_depthwise,
    "norm_quantise": torch_normed,
}
"""What they replace, by family."""
