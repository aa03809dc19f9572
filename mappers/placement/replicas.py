"""Copies of hot experts: how many, and on which device, so that the busiest device serves least.

A layer has `slots` places, at least one for each expert; a copy serves an equal share of its
expert's load. `eplb` is the load balancer of DeepSeek (deepseek-ai/EPLB), from its description:

    global         copies go one by one to the expert with the largest load per copy; then copies,
                   heaviest first, each to the device with the least load that has a place left
    hierarchical   (where nodes divide the groups of experts) groups to nodes by the same packing;
                   then the global policy inside each node, with its share of the slots

`balance` improves on it by exchanging copies between devices and by moving a copy from one expert
to another, and says how far the result is from a bound. Loads are counts of choices.
"""

import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwmodel.experts.statistics import Counts
from hwmodel.quantity.errors import CapacityError, InputError
from hwmodel.spine.certificate import Certificate

Copies = NDArray[np.int64]
"""Expert in each slot of a layer, `(slots,)`; device d has slots d * slots / devices onwards."""


@dataclass(frozen=True, eq=False)
class Replicas:
    """Experts in the slots of each layer.

    Attributes:
        slots: expert in each slot, `(layers, slots)`, the slots of a device together.
        devices: how many devices share the slots.
        certificate: largest device load, summed over layers, and its bound.
    """

    slots: tuple[tuple[int, ...], ...]
    devices: int
    certificate: Certificate


def eplb(loads: Counts, slots: int, devices: int, *, groups: int = 1, nodes: int = 1) -> Copies:
    """The load balancer of DeepSeek, `(layers, slots)`; hierarchical where nodes divide groups."""
    table = _checked(loads, slots, devices, groups, nodes)
    if groups % nodes:
        groups, nodes = 1, 1
    return np.stack([_layer(load, slots, devices, groups, nodes) for load in table])


def balance(
    loads: Counts, slots: int, devices: int, *, groups: int = 1, nodes: int = 1
) -> Replicas:
    """Copies and their devices, never worse than `eplb`, with a bound for equal shares.

    With several nodes the copies of a group stay on the node that `eplb` gives it. Raises
    `InputError` for loads that make no sense, `CapacityError` where slots are too few.
    """
    begin_s = time.perf_counter()
    table = _checked(loads, slots, devices, groups, nodes)
    if groups % nodes:
        groups, nodes = 1, 1
    rows = eplb(loads, slots, devices, groups=groups, nodes=nodes)
    chosen: list[tuple[int, ...]] = []
    mean, least, worth, tried = 0.0, 0.0, 0.0, 0
    for load, row in zip(table, rows, strict=True):
        better = row.copy()
        for node in range(nodes):
            part = slice(node * slots // nodes, (node + 1) * slots // nodes)
            better[part], steps = _improved(load, better[part], devices // nodes)
            tried += steps
        chosen.append(tuple(int(expert) for expert in better))
        worth += largest_load(load, better, devices)
        mean += float(load.sum()) / devices
        least += _layer_bound(load, slots, devices)
    certificate = Certificate(
        objective="load",
        unit="",
        value=worth,
        mapspace="equal-shares",
        mapspace_bound=min(least, worth),
        bound=min(mean, worth),
        bound_reason="mean load of a device; with equal shares also that of the hottest copy",
        candidates=tried,
        solve_time_s=time.perf_counter() - begin_s,
    )
    return Replicas(tuple(chosen), devices, certificate)


def largest_load(load: Counts, copies: Copies, devices: int) -> float:
    """Load of the busiest device of one layer, copies of an expert sharing its load evenly."""
    number = np.bincount(copies, minlength=load.size)
    share = load[copies] / number[copies]
    return float(share.reshape(devices, -1).sum(axis=1).max())


def packed(weights: Counts, packs: int) -> list[list[int]]:
    """Heaviest first, each item to the lightest pack with a place left; equal numbers in each."""
    places = weights.size // packs
    held: list[list[int]] = [[] for _ in range(packs)]
    filled = np.zeros(packs)
    for item in np.argsort(-weights, kind="stable"):
        full = np.array([len(pack) >= places for pack in held])
        pack = int(np.argmin(np.where(full, np.inf, filled)))
        held[pack].append(int(item))
        filled[pack] += weights[item]
    return held


def replicated(load: Counts, slots: int) -> Copies:
    """Experts of the slots: one each, then one more for the largest load per copy, again."""
    number = np.ones(load.size)
    extra: list[int] = []
    for _ in range(slots - load.size):
        extra.append(int(np.argmax(load / number)))
        number[extra[-1]] += 1
    return np.array([*range(load.size), *extra])


def _layer(load: Counts, slots: int, devices: int, groups: int, nodes: int) -> Copies:
    size = load.size // groups
    found: list[int] = []
    for held in packed(load.reshape(groups, size).sum(axis=1), nodes):
        experts = np.concatenate([np.arange(group * size, (group + 1) * size) for group in held])
        copies = replicated(load[experts], slots // nodes)
        share = load[experts][copies] / np.bincount(copies)[copies]
        for pack in packed(share, devices // nodes):
            found += [int(experts[copies[slot]]) for slot in pack]
    return np.array(found)


def _improved(load: Counts, row: Copies, devices: int) -> tuple[Copies, int]:
    """Exchange or replace copies of the busiest device while the busiest becomes less so."""
    best, tried = row.copy(), 0
    worth = largest_load(load, best, devices)
    places = best.size // devices
    while True:
        number = np.bincount(best, minlength=load.size)
        share = load[best] / number[best]
        device = int(np.argmax(share.reshape(devices, places).sum(axis=1)))
        better = None
        for slot in range(device * places, (device + 1) * places):
            for candidate in _moves(best, slot, number, load):
                tried += 1
                got = largest_load(load, candidate, devices)
                if got < worth * (1 - 1e-12):
                    better, worth = candidate, got
        if better is None:
            return best, tried
        best = better


def _moves(row: Copies, slot: int, number: Copies, load: Counts) -> list[Copies]:
    """Rows with this slot exchanged with another, or a spare slot given to its expert."""
    found: list[Copies] = []
    for other in range(row.size):
        if row[other] != row[slot]:
            swapped = row.copy()
            swapped[[slot, other]] = row[[other, slot]]
            found.append(swapped)
            if number[row[other]] > 1:
                given = row.copy()
                given[other] = row[slot]
                found.append(given)
    hottest = int(np.argmax(load / np.maximum(number, 1) * (number > 0)))
    if number[row[slot]] > 1 and row[slot] != hottest:
        given = row.copy()
        given[slot] = hottest
        found.append(given)
    return found


def _layer_bound(load: Counts, slots: int, devices: int) -> float:
    """No device serves less than the mean, and some copy more than the best split of slots.

    The hottest copy is least when copies go to the largest load per copy (a minimax split).
    """
    number = np.bincount(replicated(load, slots), minlength=load.size)
    return max(float(load.sum()) / devices, float((load / number).max()))


def _checked(loads: Counts, slots: int, devices: int, groups: int, nodes: int) -> Counts:
    table = np.atleast_2d(np.asarray(loads, dtype=np.float64))
    if table.ndim != 2 or not np.isfinite(table).all() or (table < 0).any():
        raise InputError(
            "replicas: expected loads of 0 or more, (layers, experts); found an array of shape"
            f" {table.shape}, least {table.min() if table.size else math.nan}"
        )
    if devices < 1 or nodes < 1 or devices % nodes or slots % devices or groups < 1:
        raise InputError(
            "replicas: expected nodes that divide the devices and devices that divide the slots;"
            f" found {nodes} nodes, {devices} devices, {slots} slots"
        )
    if table.shape[1] % groups:
        raise InputError(
            f"replicas: expected groups that divide {table.shape[1]} experts, found {groups}"
        )
    if slots < table.shape[1]:
        raise CapacityError(
            f"replicas: {table.shape[1]} experts need as many slots, found {slots}; add"
            f" {table.shape[1] - slots} slots or devices"
        )
    return table
