"""DeepGEMM's grouped products: experts whose rows another kernel has brought to their places.

DeepEP leaves each expert's rows together, in fp8 with scales, and sums what comes back: nothing is
sorted, gathered or summed here. Blocks are persistent and walk all experts' tiles as those of one
product, each expert's rows padded to whole tiles of 128 (deepseek-ai/DeepGEMM, contiguous layout).
Efficiencies are those of its plain products as vLLM calls them, which were measured on an H200, but
for the rates of a tile and its stores: they are fitted to the six plain products of 4,096 rows that
its README of April 2025 has of an H800 (4 % off; its products of experts are 4 and 14 % off, rows
one after another and in places of their own).
"""

from dataclasses import replace
from typing import Any

from hwmodel.einsum.distribution import expected_tiles, touched_members
from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.libraries.library import Launch, Library, Support, priors
from hwmodel.machines.gpu.schedules import cublas
from hwmodel.machines.gpu.schedules.gemm import GemmProblem
from hwmodel.spine.activity import Activity

RATES = priors(
    """
    matrix = 0.8 in 0.3 .. 1: share of the datasheet's matrix rate that a full tile reaches
    store = 0.3 in 0.1 .. 1: share of the port at which a block writes its tile of C, sums scaled
        and converted on the way
    """
)
ROWS = 128
"""To which an expert's rows are padded (there: `get_m_alignment_for_contiguous_layout`)."""


def _plain(problem: GemmProblem) -> GemmProblem:
    """The plain products of as many tiles: a batch of those of experts that have rows."""
    if problem.routing is None:
        return problem
    there = touched_members(problem.routing, problem.members)
    rows = ROWS * expected_tiles(problem.routing, problem.members, ROWS)
    return replace(problem, batch=there, M=rows / there, members=1, routing=None)


def activity(problem: GemmProblem, tile: Any, limits: Limits) -> Activity:
    """What the plain product does."""
    return cublas.activity(_plain(problem), tile, limits)


def resolved(tile: Any, problem: GemmProblem, limits: Limits) -> Any:
    """Its tile."""
    return cublas.resolved_alike(tile, _plain(problem), limits)


LIBRARY = Library(
    name="deep-gemm",
    title="DeepGEMM's grouped products",
    launches={"grouped": Launch(activity, cublas.menu(), resolved)},
    support=(Support(("grouped",), {"fp8": ("hopper",)}, "deepseek-ai/DeepGEMM", blocks=True),),
    priors={"grouped": RATES},
    borrows={"grouped": "gemm:vllm:deep-gemm"},
)
