"""Placements of experts at the sizes that are claimed: crossings, bounds, gaps, seconds.

    python benchmarks/placement.py [mixtral | olmoe | deepseek | exflow]... [--counts FOLDER]

Prints tables and asserts nothing. `mixtral` and `olmoe` read the routing counts of OLMoE's authors
(allenai/OLMoE, scripts/routing_output, as CSV) from the folder; the others plant their affinity.
Seconds are wall-clock; peak memory is of the whole process so far.
"""

import argparse
import resource
from pathlib import Path

import polars

from hwmodel.experts.placement import contiguous, crossings, hop_cost, link_cost
from hwmodel.experts.statistics import Routing, from_traces, planted
from hwmodel.experts.traces import read_routing
from hwmodel.mappers.placement.place import Placed, place_experts

COUNTS = Path("../shared/data/olmoe_routing")
TITLES = ("mixtral", "olmoe", "deepseek", "exflow")


def line(name: str, routing: Routing, devices: int, found: Placed) -> None:
    """One row: shares that cross, contiguous, placed and bound, the gap, the seconds."""
    plain = crossings(routing, contiguous(routing.layers, routing.experts, devices))
    proof = found.certificate
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kilobytes, on Linux
    print(
        f"{name:<34}{plain / routing.total:9.4f}{proof.value / routing.total:9.4f}"
        f"{proof.bound / routing.total:9.4f}{proof.gap_to_bound:9.3%}"
        f"{1 - proof.value / plain:9.1%}{proof.solve_time_s:9.2f} s{peak / 2**30:7.2f} GiB"
        f"  {proof.bound_reason.split(' of ')[0]}",
        flush=True,
    )


def head(title: str) -> None:
    """The columns of `line`."""
    print(f"\n{title}\n{'':<34}{'contig.':>9}{'placed':>9}{'bound':>9}{'gap':>9}{'fewer':>9}")


def mixtral(folder: Path) -> None:
    """Every domain, kind and number of devices."""
    path = folder / "mixtral-8x7b-v0.1_crosslayer_counts.csv"
    domains = sorted(polars.read_csv(path)["domain"].unique())
    head("Mixtral-8x7B, layers 0, 7, 15")
    for kind in ("top1", "topk"):
        for chosen in (tuple(domains), *((name,) for name in domains)):
            routing = read_routing(path, kind=kind, domains=chosen)
            for devices in (2, 4, 8):
                name = chosen[0] if len(chosen) == 1 else "all"
                found = place_experts(routing, devices, time_limit_s=5)
                line(f"{kind} {name}, {devices} devices", routing, devices, found)


def olmoe(folder: Path) -> None:
    """64 experts on 8 devices, a minute each."""
    head("OLMoE-1B-7B, layers 0, 7, 15, 60 s")
    for kind in ("top1", "topk"):
        routing = read_routing(folder / "olmoe-1b-7b-0924_crosslayer_counts.csv", kind=kind)
        found = place_experts(routing, 8, time_limit_s=60)
        line(f"{kind}, 8 devices", routing, 8, found)
        reached = {name: 1.0 for name in ("1 s", "5 s", "20 s", "60 s")}
        for at_s, value, bound in found.history:
            for name in reached:
                if at_s <= float(name.removesuffix(" s")):
                    reached[name] = (value - bound) / value
        print("    gap after " + ", ".join(f"{name}: {gap:.2%}" for name, gap in reached.items()))


def deepseek(_: Path) -> None:
    """58 layers of 256 experts on 64 devices of 8 nodes, planted groups of 4, in two readings.

    Groups may be shared: the experts of a group lead to the same 4, and a placement can keep them
    together. Or every expert leads to 4 of its own, which no placement can keep.
    """
    size = "58 layers x 256 experts, 64 devices on 8 nodes, 20,000 tokens"
    for aligned, words, time_limit_s in ((True, "shared", 120), (False, "own", 600)):
        head(f"DeepSeek-V3's size, {size}, {words} groups, {time_limit_s} s")
        for share in (0.3, 0.5, 0.7):
            for seed in (0, 1, 2) if aligned else (0,):
                routing = _planted(58, 256, 4, share, seed, aligned=aligned)
                found = place_experts(routing, 64, time_limit_s=time_limit_s, gap=1e-3, seed=seed)
                line(f"share {share}, seed {seed}", routing, 64, found)
    routing, hops = _planted(58, 256, 4, 0.7, 2), hop_cost(64, 8)
    found = place_experts(routing, 64, cost=hops, objective="hops", time_limit_s=120)
    plain = link_cost(routing, contiguous(routing.layers, 256, 64), hops)
    proof = found.certificate
    print(
        f"hops (1 within a node, 2 between), share 0.7: {plain:,.0f} contiguous,"
        f" {proof.value:,.0f} placed, bound {proof.bound:,.0f}, gap {proof.gap_to_bound:.2%}"
    )


def _planted(
    layers: int, experts: int, group: int, share: float, seed: int, *, aligned: bool = True
) -> Routing:
    trace = planted(
        layers=layers,
        experts=experts,
        group=group,
        share=share,
        tokens=20_000,
        seed=seed,
        aligned=aligned,
    )
    return from_traces([trace], experts=experts)


def exflow(_: Path) -> None:
    """Layers, experts and devices of ExFlow's models over the strength of affinity."""
    head("ExFlow's sizes, groups of a device's experts, 20,000 tokens, 10 s")
    for layers, experts, devices in (
        (12, 8, 4),
        (24, 16, 4),
        (24, 32, 8),
        (32, 64, 16),
        (32, 64, 64),
    ):
        for share in (0.2, 0.4, 0.6, 0.8):
            routing = _planted(layers, experts, experts // devices, share, 0)
            found = place_experts(routing, devices, time_limit_s=10, gap=1e-3)
            line(f"{layers} x {experts} on {devices}, share {share}", routing, devices, found)


def main() -> None:
    """Run what was asked for, by default all."""
    asked = argparse.ArgumentParser(description="placements of experts")
    asked.add_argument("titles", nargs="*", default=TITLES, metavar="|".join(TITLES))
    asked.add_argument("--counts", type=Path, default=COUNTS)
    given = asked.parse_args()
    known = {"mixtral": mixtral, "olmoe": olmoe, "deepseek": deepseek, "exflow": exflow}
    for title in given.titles:
        known[title](given.counts)


if __name__ == "__main__":
    main()
