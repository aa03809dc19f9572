"""Fused kernels of the literature: their times and what they save, by our own kernels' schedules.

Flash-KMeans (arXiv 2603.09229), FlashKAT (arXiv 2505.13813) and FlashFFTConv (arXiv 2311.05908), of
which the kernels here are `hwmodel.kernels`, not the papers' own. The first two's figures, on an
H200, were read second-hand; the third's is the table of its repository: gated convolutions of 64
sequences of 768 channels on an H100. Its schedule is ours with what its code does otherwise: each
real sequence is a complex signal (two are, here), and shared memory keeps what registers do not.
As its script does, filters are transformed anew in every call, and long sequences take several.
"""

from dataclasses import replace

from hwmodel.einsum.workloads.fft_convolution import fft_convolution
from hwmodel.einsum.workloads.kmeans import kmeans
from hwmodel.einsum.workloads.rational_backward import rational_backward
from hwmodel.einsum.workloads.rows import copy
from hwmodel.hardware.hardware import Limits
from hwmodel.machines.driver import predict
from hwmodel.machines.gpu.libraries.library import Launch, Library
from hwmodel.machines.gpu.schedules import grouped_gradients, monarch
from hwmodel.machines.gpu.schedules.grouped_gradients import GradientTile
from hwmodel.machines.gpu.schedules.monarch import MonarchProblem, MonarchTile
from hwmodel.spine.activity import Activity
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

EVERY_ELEMENT = Library(
    name="every-element",
    title="gradients that every element adds alone",
    launches={"gradients": Launch(grouped_gradients.activity, (grouped_gradients.EACH,))},
    borrows={"gradients": "gradients:triton"},
)
"""The first kernels of rational networks, which FlashKAT is compared with."""

WHOLE_BLOCKS = Library(
    name="flash-kat",
    title="FlashKAT, blocks of 1,024 rows at once",
    launches={"gradients": Launch(grouped_gradients.activity, (GradientTile(1024, 1024, 4),))},
    borrows={"gradients": "gradients:triton"},
)
"""Its kernels as they were published, whose blocks do not fit into registers: of 512 rows they were
measured to take 11.1 ms, where ours, four rows at a time, take 0.8."""

IMAGES = "its shape was not read: ours is 1,024 images of ViT-B"
SHAPE = "both are 1.4 to 1.5 times those published, as if its shape had 0.7 of our rows"
PUBLISHED_MS = {256: 0.11, 1024: 0.29, 4096: 1.43, 8192: 3.58, 16384: 12.2, 32768: 26.3}
"""FlashFFTConv's table: length and milliseconds."""
CALLS = {16384: 2, 32768: 4}
FILTER_PASSES = 4
"""Made complex, transformed, permuted and rounded, by kernels of torch."""
LANES = "vector instructions are counted as our kernel's, and bind; its own work on pairs of halves"


def one_sequence(problem: MonarchProblem, tile: MonarchTile, limits: Limits) -> Activity:
    """Each real sequence a complex signal of full length, kept in shared memory (its code)."""
    alone = replace(problem, batch=2 * problem.batch)
    return monarch.activity(alone, replace(tile, spilling=0), limits)


ITS_KERNEL = Library(
    name="flash-fft-conv",
    title="FlashFFTConv, one sequence a signal",
    launches={"monarch": Launch(one_sequence, monarch.MENU, monarch.resolved)},
    borrows={"monarch": "monarch:triton"},
)
"""Its kernels, at the efficiencies of ours, which makes two sequences one signal."""


def assignment(given: Given) -> tuple[Claim, ...]:
    """Nearest of 8,192 centroids to a mebi points, and the same with distances in memory."""
    gpu = given.device("h200")
    points, clusters = given("points", 1 << 20), given("clusters", 8192)
    fused = predict(kmeans(points, clusters, 128, dtype="fp16"), gpu, kernel="triton")
    whole = predict(kmeans(points, clusters, 128, dtype="fp32"), gpu)
    return (
        Claim(
            *("Flash-KMeans", "seconds of an assignment", 5.8e-3, float(fused.time_s), 0.2),
            "its evaluation, second-hand",
            within="our kernel is not theirs",
        ),
        Claim(
            *("Flash-KMeans", "times as fast as distances in memory", 21.2),
            float(whole.time_s) / float(fused.time_s),
            0.2,
            "its evaluation, second-hand",
            within="our kernel is not theirs, and torch is taken for the other",
            cause="torch's distances in memory come to 83 ms here, and were measured at 104.5",
        ),
    )


def gradients(given: Given) -> tuple[Claim, ...]:
    """Gradients of ten coefficients a group, added by every element or by blocks."""
    gpu = given.device("h200")
    work = rational_backward(given("images", 1024) * 197, given("width", 768), 8)
    alone = predict(work, gpu, kernel=EVERY_ELEMENT)
    blocks = predict(work, gpu, kernel=WHOLE_BLOCKS)
    took_s = float(alone.time_s), float(blocks.time_s)
    each = (
        ("times as fast as every element's atomics", 140.0, took_s[0] / took_s[1], 0.1, ""),
        ("milliseconds, every element's atomics", 1030.0, 1e3 * took_s[0], 0.2, SHAPE),
        ("milliseconds, by blocks", 7.33, 1e3 * took_s[1], 0.2, SHAPE),
    )
    source = "its evaluation of the backward pass, second-hand"
    return tuple(
        Claim("FlashKAT", *claim, source, within=IMAGES, cause=cause) for *claim, cause in each
    )


def convolutions(given: Given) -> tuple[Claim, ...]:
    """Gated convolutions of six lengths, with the filters' transforms."""
    gpu, batch = given.device("h100"), given("sequences", 64)
    channels = given("channels", 768)

    def call_s(sequences: int, length: int) -> float:
        work = fft_convolution(sequences, channels, length, gated=True)
        once = copy(channels, 2 * length, dtype="fp32", name="filters, real and imaginary")
        convolved, passed = predict(work, gpu, kernel=ITS_KERNEL), predict(once, gpu)
        return float(convolved.time_s) + FILTER_PASSES * float(passed.time_s)

    return tuple(
        Claim(
            *("FlashFFTConv", f"milliseconds at {length:,}", published),
            1e3 * CALLS.get(length, 1) * call_s(batch // CALLS.get(length, 1), length),
            0.2,
            "table of its repository",
            within="efficiencies on an H100 are priors: our kernel's, measured on an H200",
            cause=LANES if length in (1024, 4096, 8192) else "",
        )
        for length, published in PUBLISHED_MS.items()
    )


PROGRAMS = (assignment, gradients, convolutions)
