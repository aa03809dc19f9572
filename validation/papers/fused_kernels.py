"""Fused kernels of the literature: their times and what they save, by our own kernels' schedules.

Flash-KMeans (arXiv 2603.09229), FlashKAT (arXiv 2505.13813) and FlashFFTConv (arXiv 2311.05908), of
which the kernels here are `hwmodel.kernels`, not the papers' own. The first two's figures, on an
H200, were read second-hand; the third's is the table of its repository: gated convolutions of 64
sequences of 768 channels on an H100, whose efficiencies here are those of an H200's kernels.
"""

from hwmodel.einsum.workloads.fft_convolution import fft_convolution
from hwmodel.einsum.workloads.kmeans import kmeans
from hwmodel.einsum.workloads.rational_backward import rational_backward
from hwmodel.machines.driver import predict
from hwmodel.machines.gpu.libraries.library import Launch, Library
from hwmodel.machines.gpu.schedules import grouped_gradients
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

EVERY_ELEMENT = Library(
    name="every-element",
    title="gradients that every element adds alone",
    launches={"gradients": Launch(grouped_gradients.activity, (grouped_gradients.EACH,))},
    borrows={"gradients": "gradients:triton"},
)
"""The first kernels of rational networks, which FlashKAT is compared with."""

PUBLISHED_MS = {256: 0.11, 1024: 0.29, 4096: 1.43, 8192: 3.58, 16384: 12.2, 32768: 26.3}
"""FlashFFTConv's table: length and milliseconds."""
CAUSES = {
    **dict.fromkeys(
        (256, 4096, 32768),
        "ours makes two sequences one complex signal, and splits 32,768 into shorter products:"
        " measured on an H200, 0.06, 0.82 and 11.4 ms",
    ),
    8192: "registers of ours spill at this length, through the DRAM: measured on an H200, 5.0 ms",
}
"""Where ours is far from it."""


def assignment(given: Given) -> tuple[Claim, ...]:
    """Nearest of 8,192 centroids to a mebi points, and the same with distances in memory."""
    gpu = given.device("h200")
    points, clusters = given("points", 1 << 20), given("clusters", 8192)
    fused = predict(kmeans(points, clusters, 128, dtype="fp16"), gpu, kernel="triton")
    whole = predict(kmeans(points, clusters, 128, dtype="fp32"), gpu)
    return (
        Claim(
            *("Flash-KMeans", "seconds of an assignment", 5.8e-3, float(fused.time_s), 0.25),
            "its evaluation, second-hand",
            within="our kernel is not theirs",
        ),
        Claim(
            *("Flash-KMeans", "times as fast as distances in memory", 21.2),
            float(whole.time_s) / float(fused.time_s),
            0.25,
            "its evaluation, second-hand",
            within="our kernel is not theirs, and torch is taken for the other",
        ),
    )


def gradients(given: Given) -> tuple[Claim, ...]:
    """Gradients of ten coefficients a group, added by every element or by blocks."""
    gpu = given.device("h200")
    work = rational_backward(given("images", 1024) * 197, given("width", 768), 8)
    alone = predict(work, gpu, kernel=EVERY_ELEMENT)
    blocks = predict(work, gpu, kernel="triton")
    return (
        Claim(
            *("FlashKAT", "times as fast as every element's atomics", 140.0),
            float(alone.time_s) / float(blocks.time_s),
            0.4,
            "its evaluation of the backward pass, second-hand",
            within="its shape was not read: ours is 1,024 images of ViT-B",
            cause="blocks of ours take 0.8 ms (measured), theirs 7.33: they move more bytes, or its"
            " shape is larger; every element's atomics take 1.4 s by ours and 1.03 s by theirs",
        ),
    )


def convolutions(given: Given) -> tuple[Claim, ...]:
    """Gated convolutions of six lengths."""
    gpu, batch = given.device("h100"), given("sequences", 64)
    channels = given("channels", 768)
    return tuple(
        Claim(
            *("FlashFFTConv", f"milliseconds at {length:,}", published),
            1e3
            * float(
                predict(
                    fft_convolution(batch, channels, length, gated=True), gpu, kernel="triton"
                ).time_s
            ),
            0.3,
            "table of its repository",
            within="our kernel is not theirs, and an H200's efficiencies are taken",
            cause=CAUSES.get(length, ""),
        )
        for length, published in PUBLISHED_MS.items()
    )


PROGRAMS = (assignment, gradients, convolutions)
