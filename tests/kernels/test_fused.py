"""Fused kernels of the literature against float64: ragged sizes, several chunks, odd groups."""

# pyright: basic, reportMissingImports=false

import pytest

pytest.importorskip("torch", reason="needs torch and triton")
pytest.importorskip("triton", reason="needs torch and triton")

import torch

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
from hwmodel.machines.gpu.schedules.monarch import monarch_tile, radices
from hwmodel.machines.gpu.schedules.nearest import NearestTile
from hwmodel.machines.gpu.schedules.triton_scan import ChunkTile
from hwmodel.machines.gpu.schedules.windows import WindowTile
from hwmodel.quantity.errors import InputError

DTYPES = {"fp32": 1e-5, "fp16": 3e-3}


def doubles(*tensors):
    return tuple(each.double() for each in tensors)


@pytest.mark.parametrize("dtype", DTYPES)
def test_attention_by_powers_equals_all_pairs_over_ragged_chunks_and_columns(
    draw, error, poison, dtype
):
    q, k, v = (draw(1, 2, 75, width, dtype=dtype) for width in (16, 16, 20))
    out = poison(*v.shape, dtype=v.dtype)
    tile = ChunkTile(chunk=32, block_v=16, warps=4)
    got = linear_attention.linear_attention(q, k, v, tile=tile, out=out)
    assert error(got, linear_attention.reference(*doubles(q, k, v), scale=0.25)) < DTYPES[dtype]


def test_attention_by_powers_of_tokens_that_score_nothing_is_their_mean(draw, error):
    """Scores of zero weigh one: o_i is the mean of v_0 .. v_i."""
    v = draw(1, 1, 40, 16)
    q, k = torch.zeros_like(v), draw(1, 1, 40, 16).to(v.device)
    got = linear_attention.linear_attention(q, k, v, tile=ChunkTile(16, 16, 4))
    count = torch.arange(1, 41, device=v.device)[:, None]
    assert error(got[0, 0], v[0, 0].double().cumsum(0) / count) < 1e-6


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_scan_in_chunks_equals_its_steps(draw, error, poison, dtype):
    q, k, v = (draw(1, 2, 75, width, dtype=dtype) for width in (16, 16, 20))
    decay = -draw(1, 2, 75).abs() / 4
    out = poison(*v.shape, dtype=v.dtype)
    got = chunk_scan.chunk_scan(q, k, v, decay, tile=ChunkTile(32, 16, 4, 1), out=out)
    q64, k64, v64, kept = *doubles(q, k, v), decay.double().exp()
    state = torch.zeros(1, 2, 16, 20, dtype=torch.float64, device=v.device)
    steps = []
    for t in range(75):
        state = state * kept[..., t, None, None] + k64[..., t, :, None] * v64[..., t, None, :]
        steps.append((q64[..., t, None, :] @ state)[..., 0, :])
    want = torch.stack(steps, 2)
    assert error(got, want) < DTYPES[dtype]
    assert error(chunk_scan.reference(q64, k64, v64, decay.double()), want) < 1e-12


@pytest.mark.parametrize(("chunk", "alike"), [(16, 0.9), (32, 0.0), (64, 0.9)])
def test_the_delta_rule_in_chunks_equals_its_steps_also_where_keys_are_alike(
    draw, error, poison, chunk, alike
):
    """Alike keys make systems whose powers grow before they vanish: 1e19 of 64 tokens."""
    q, k, v = (draw(1, 2, 75, width) for width in (16, 16, 20))
    k = torch.nn.functional.normalize((1 - alike) * k + alike, dim=-1)
    gate, beta = -draw(1, 2, 75).abs() / 8, draw(1, 2, 75).sigmoid()
    gate, beta = (0 * gate, 0.95 + 0 * beta) if alike else (gate, beta)
    out = poison(*v.shape, dtype=v.dtype)
    tile = ChunkTile(chunk, 16, 4, 1)
    got = delta_rule.delta_rule(q, k, v, gate, beta, tile=tile, out=out)
    assert error(got, delta_rule.reference(*doubles(q, k, v, gate, beta))) < 5e-6


def test_the_delta_rule_replaces_what_a_key_holds(draw):
    """With shares of one and no decay, a key that comes again reads its last value alone."""
    q, v = draw(1, 1, 3, 16), draw(1, 1, 3, 16)
    k = torch.zeros_like(q)
    k[..., 0, 0] = k[..., 1, 1] = k[..., 2, 0] = 1.0
    ones = torch.ones(1, 1, 3, device=q.device)
    got = delta_rule.delta_rule(k, k, v, 0 * ones, ones, tile=ChunkTile(16, 16, 4, 1))
    assert torch.allclose(got, v, atol=1e-6)


@pytest.mark.parametrize("dimensions", [16, 20])
def test_labels_are_the_nearest_centroids(draw, dimensions):
    x, c = draw(150, dimensions), draw(37, dimensions)
    got = kmeans.assign(x, c, tile=NearestTile(64, 16, 4, 1))
    assert torch.equal(got.long(), torch.cdist(*doubles(x, c)).argmin(-1))


def test_of_equal_centroids_the_first_is_taken(draw):
    c = draw(1, 16).expand(40, 16).contiguous()
    got = kmeans.assign(c[:5].contiguous(), c, tile=NearestTile(16, 16, 4, 1))
    assert got.tolist() == [0] * 5


@pytest.mark.parametrize("tile", [SumTile(32, 4, 1), SumTile(32, 4, 0)])
@pytest.mark.parametrize("clusters", [1, 7, 200])
def test_sums_of_clusters_are_exact_counts_and_sums(draw, error, tile, clusters):
    x = draw(150, 20)
    labels = (draw(150).abs() * clusters).int() % clusters
    sums, counts = kmeans.update(x, labels, clusters, tile=tile)
    want = torch.nn.functional.one_hot(labels.long(), clusters).double()
    assert torch.equal(counts.double(), want.sum(0))
    assert error(sums, want.T @ x.double()) < 1e-6


@pytest.mark.parametrize("tile", [GradientTile(16, 8, 4), GradientTile(8, 8, 4, each=1)])
def test_gradients_of_rational_functions_are_those_of_autograd(draw, error, tile):
    x, gradient = draw(20, 2 * 20), draw(20, 2 * 20)
    above, below = draw(2, 6), draw(2, 4)
    got = rational.backward(x, gradient, above, below, tile=tile)
    for each, want in zip(
        got, rational.reference_backward(*doubles(x, gradient, above, below)), strict=True
    ):
        assert error(each, want) < 2e-6


def test_a_rational_function_at_counted_points(draw, error, poison):
    """1 + 2 + 3 + 4 + 5 + 6 over 1 + |1 + 1 - 4 + 1| at x = 1; P(0) = 1 at 0."""
    x = draw(20, 8) * 0
    x[:, 4:] += 1
    above = torch.arange(1.0, 7.0, device=x.device).repeat(2, 1)
    below = torch.tensor([1.0, 1.0, -4.0, 1.0], device=x.device).repeat(2, 1)
    got = rational.rational(x, above, below, out=poison(20, 8))
    assert got[0].tolist() == [1.0] * 4 + [10.5] * 4
    assert error(got, rational.reference(*doubles(x, above, below))) < 1e-6


@pytest.mark.parametrize(
    ("batch", "channels", "n", "gated"),
    [(6, 2, 256, False), (2, 2, 512, True), (2, 1, 1 << 15, True)],
)
def test_products_convolve_as_sums_do(draw, error, poison, batch, channels, n, gated):
    sizes = (batch, channels, n)
    u, k = draw(*sizes, dtype="fp16"), (draw(channels, n) / n**0.5).half()
    gates = (draw(*sizes, dtype="fp16"), draw(*sizes, dtype="fp16")) if gated else None
    out = poison(*sizes, dtype=u.dtype)
    got = fourier.convolve(u, fourier.spectrum(k), gates=gates, out=out)
    before, after = doubles(*gates) if gates else (torch.ones_like(u), torch.ones_like(u))
    assert error(got, fourier.reference(u.double(), k.double(), before, after)) < 2e-3
    at, past = 3, torch.arange(n)
    shifted = (before * u.double())[..., (at - past) % n]
    one = (shifted * k.double()).sum(-1) * after[..., at]
    assert (got[..., at].double() - one).abs().max() < 5e-3


@pytest.mark.parametrize("n", [1 << bits for bits in range(8, 22)])
def test_a_transform_is_taken_apart_into_products_that_tensor_cores_take(n):
    outer, n1, n2 = radices(n)
    assert outer * n1 * n2 == n
    assert 16 <= n1 <= n2 <= 128
    assert outer == 1 or 16 <= outer <= 128
    assert monarch_tile(n).pairs * n1 * n2 >= 2048


@pytest.mark.parametrize(
    ("stride", "padding", "window"),
    [(1, (1, 1, 1, 1), (3, 3)), (2, (0, 1, 0, 1), (3, 3)), (1, (0, 0, 3, 0), (1, 4))],
)
@pytest.mark.parametrize("dtype", ["fp32", "fp16"])
def test_depthwise_convolution_equals_float64(draw, error, poison, stride, padding, window, dtype):
    x, w = draw(2, 5, 7, 20, dtype=dtype), draw(*window, 20, dtype=dtype)
    want = depthwise.reference(*doubles(x, w), stride=stride, padding=padding)
    got = depthwise.depthwise(
        x, w, stride=stride, padding=padding, tile=WindowTile(32, 16, 4),
        out=poison(*want.shape, dtype=x.dtype),
    )  # fmt: skip
    assert error(got, want) < (1e-6 if dtype == "fp32" else 6e-4)


def test_a_causal_window_never_sees_later_tokens(draw):
    x, w = draw(1, 1, 30, 16), draw(1, 4, 16)
    first = depthwise.depthwise(x, w, padding=(0, 0, 3, 0))
    x[:, :, 20:] += 5
    again = depthwise.depthwise(x, w, padding=(0, 0, 3, 0))
    assert torch.equal(first[:, :, :20], again[:, :, :20])
    assert not torch.equal(first[:, :, 20], again[:, :, 20])


@pytest.mark.parametrize(("rows", "cols"), [(5, 100), (3, 1000)])
def test_a_residual_norm_is_quantised_to_the_whole_range(draw, error, rows, cols):
    x, residual, w = draw(rows, cols), draw(rows, cols), draw(cols)
    h, q, scale = norm_quantise.norm_quantise(x, residual, w)
    want_h, want_q, want_scale = norm_quantise.reference(*doubles(x, residual, w))
    assert error(h, want_h) < 1e-7
    assert error(scale, want_scale) < 1e-6
    assert q.float().abs().amax(-1).tolist() == [448.0] * rows
    rounding = 2.0**-4  # half of the last of three bits of an e4m3 mantissa
    close = (q.double() - want_q).abs() <= rounding * want_q.abs() + 2.0**-9
    assert close.double().mean() > 0.95  # the interpreter loses a carry into the exponent


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: linear_attention.linear_attention(x, x, x), "d of 16, 32, found 8"),
        (lambda x: chunk_scan.chunk_scan(x, x, x[0], x), "v and decay of its tokens"),
        (
            lambda x: delta_rule.delta_rule(x, x, x, x[..., 0].contiguous(), x),
            "v and gate and beta",
        ),
        (lambda x: kmeans.assign(x[0, 0], x[0, 0, :, :4].contiguous()), "centroids of the points'"),
        (lambda x: kmeans.update(x[0, 0], x[0, 0, :, 0].contiguous(), 3), "int32, found"),
        (lambda x: rational.rational(x[0, 0], x[0, 0, :3].contiguous(), x[0]), "give each group"),
        (lambda x: fourier.spectrum(x[0, 0]), "power of two of 256 .. 2097152, found 8"),
        (lambda x: depthwise.depthwise(x[:, :1].contiguous(), x[0]), "a window within the image"),
        (lambda x: norm_quantise.norm_quantise(x[0, 0], x[0, 0], x[0, 0]), "residual and w"),
    ],
)
def test_what_cannot_be_meant_is_refused(draw, call, message):
    with pytest.raises(InputError, match=message):
        call(draw(1, 2, 5, 8))


def test_an_odd_batch_has_no_pairs(draw):
    of = fourier.spectrum(draw(2, 256))
    with pytest.raises(InputError, match=r"u \(even, 2, 256\), found \(3, 2, 256\)"):
        fourier.convolve(draw(3, 2, 256, dtype="fp16"), of)


def test_costs_are_counted_by_hand():
    matrix = ("matrix", "flop", "bf16")
    half = ("matrix", "flop", "fp16")
    power = linear_attention.cost(1, 2, 10, 16, 64)
    assert power.operations[matrix] == 20 * (2 * 64 * 80 + 4 * 272 * 64)
    assert power.read == {"dram": 20 * 96 * 2}
    scan = chunk_scan.cost(1, 2, 10, 16, 64)
    assert scan.operations[matrix] == 20 * (2 * 64 * 80 + 4 * 16 * 64)
    assert scan.read == {"dram": 20 * (96 * 2 + 4)}
    near = kmeans.cost(1000, 10, 16)
    assert near.operations[half] == 320_000
    assert near.written == {"dram": 4000}
    assert fourier.cost(2, 3, 1024, gated=True).operations[half] == 8 * 6144 * 64
    assert rational.cost(10, 8).read == {"dram": 640}
    assert depthwise.cost(100, 25, 9, 8).operations["vector", "flop", "fp32"] == 3600
    assert norm_quantise.cost(10, 64).written == {"dram": 640 * 3 + 40}
