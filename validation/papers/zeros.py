"""Arrays as published: Eyeriss' peak, and tensor cores whose weights have zeros, by `predict`.

A Jetson AGX Orin's data sheet has 85 TFLOP/s in fp16 with 2 of 4 weights zero, 42.5 without: the
same array, whose elements skip zeros in groups. Of Eyeriss the peak of 168 elements at 200 MHz is
reached by work that fills them; of its 34.7 images a second of AlexNet's convolutions a part is
time of a memory whose rates were not read.
"""

from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.hardware.sized import array
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import EXACT, Claim
from hwmodel.validation.papers.given import Given

DENSE_TFLOPS = 42.5


def structured(given: Given) -> tuple[Claim, ...]:
    """TFLOP/s with structured weights."""
    work = gemm(M=256, N=256, K=256, dtype="fp16", out_dtype="fp16")
    weights = given("weights", "2 of 4 k", "1 of 4 k")
    name = work.einsums[0].reads[1].tensor
    words = weights.replace("k", work.tensors[name].ranks[-1])
    machine = array(16, dtype="fp16", bandwidth="1 TB/s")
    skipping = machine.but(sparsity=given("sparsity", "structured", "gating"))
    gain = predict(work, machine).time_s / predict(work.sparse(**{name: words}), skipping).time_s
    ours = DENSE_TFLOPS * float(gain)
    source = "data sheet of a Jetson AGX Orin"
    name = "TFLOP/s, half of the weights zero"
    return (Claim("2:4 weights", name, 85, ours, EXACT, source, identity=True),)


def peak(given: Given) -> tuple[Claim, ...]:
    """GMAC/s of work that fills the array."""
    depth, chip = given("depth", 64), given.device("eyeriss")
    work = gemm(M=168, N=168, K=depth, dtype="int16", out_dtype="int16")
    found = predict(work, chip)
    ours = float(found.flop / found.time_s) / 2e9
    source = "168 elements, 200 MHz"
    return (Claim("Eyeriss", "GMAC/s at most", 33.6, ours, EXACT, source, identity=True),)


PROGRAMS = (structured, peak)
