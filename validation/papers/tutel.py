"""Tutel's exchange in two dimensions against the plain one, between 16 and 2,048 GPUs.

Of the paper (arXiv 2206.03382), second-hand: up to 20.7 times as fast at 2,048 A100, by the smaller
number of messages; the size was not read. Ours: boxes of eight with a card of 200 Gb/s each, and
what a card takes for a message as a prior (2 us, of 1 to 5). Times of a mixture's layer, and of
SwinV2-MoE, are published too; their sizes were not read.
"""

from itertools import pairwise
from typing import Any

from hwmodel.einsum.workloads.collective import collective
from hwmodel.machines.driver import predict
from hwmodel.network.topologies import topology
from hwmodel.network.topology import Topology
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

BOX, MOST = 8, 2048
SIZE = 2**20
SECOND_HAND = "a summary of the paper"


def two_dimensions(given: Given) -> tuple[Claim, ...]:
    """How much sooner it ends, and that this grows with the number of GPUs."""
    gains = [gain(given, gpus) for gpus in (64, 512, MOST)]
    grows = min(later / before for before, later in pairwise(gains))
    return (
        Claim(
            *("Tutel", "speed of 2D over linear, 1 MiB, 2,048 GPUs", 20.7, gains[-1], 0.2),
            SECOND_HAND,
            within="what a message holds a card is a prior, of which 1 to 5 us are usual",
            cause="an eighth of the messages ends eight times as soon at most where each holds a"
            " card as long (7.9 at 20 us); what thousands of connections cost a card is not said",
        ),
        Claim(
            *("Tutel", "gain at eight and at 32 times the GPUs, over that before", 1.0, grows, 0.0),
            "of the same: it grows with the number of GPUs",
            published_as="least",
        ),
    )


def gain(given: Given, gpus: int) -> float:
    """Seconds of the plain exchange over those of the one in two dimensions."""
    direct, twice = (seconds(given, gpus, way) for way in ("direct", "hierarchical"))
    return direct / twice


def seconds(given: Given, gpus: int, algorithm: str) -> float:
    """One exchange by an algorithm."""
    work = collective("all_to_all", given("bytes of a GPU", SIZE), gpus, algorithm=algorithm)
    return float(predict(work, "a100", topology=given.once(cluster, gpus)).time_s)


def cluster(given: Given, gpus: int) -> Topology:
    """Boxes of eight with a card for each device."""
    card: dict[str, Any] = {"bandwidth": given("card", "25 GB/s", "50 GB/s"), "latency": "5 us"}
    card["message"] = given("what a message holds a card", "2 us", "4 us")
    return topology("dgx-a100", nodes=gpus // BOX, nic=card)


PROGRAMS = (two_dimensions,)
