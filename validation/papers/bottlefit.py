"""BottleFit (WoWMoM 2022, arXiv 2201.02693): bytes and operations of its head, seconds and joules.

Sizes follow from the released network, version 2. Of the abstract: latency falls by 89 % against
the device alone and by 55 % against sending the image, power by 49 and 37 %. Devices are a Jetson
Nano and a Raspberry Pi; links, server and batch were not read. So the rate of the link is searched
at which sending the image is beaten by 55 %, with three channels, on a Jetson Nano in fp32 beside a
Xeon; the other figures are predicted at that rate, and power is taken as joules of the device.
"""

import numpy as np

from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.layer import Network
from hwmodel.einsum.workloads.resnet import CUT, bottlefit, resnet
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.systems.split import Radio, Splits, cuts, splits, stack
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

SYSTEM = "BottleFit"
CODE = "released source, version 2"
SENT = ((3, 2523), (6, 5046), (9, 7569), (12, 10092))
"""Channels, bytes."""
RATES = np.logspace(5, 8, 601)
"""Bytes/s of links."""


def head(given: Given) -> tuple[Claim, ...]:
    """Bytes sent, weights and multiply-accumulates of what runs on the device."""
    board = given.device("raspberry-pi-4")
    found: list[Claim] = []
    for channels, published in SENT:
        made = bottlefit(given(f"channels, {channels}", channels))
        sent = cuts(made)[_cut(made)].bytes
        found.append(Claim(SYSTEM, f"bytes sent, {channels} channels", published, sent, 0.0, CODE))
    whole = bottlefit(given("channels of the head", 12))
    on_board = Stack("head", stack(whole, "int8").stages[: _cut(whole)])
    macs = float(predict(on_board, board).flop) / 2
    share = macs / (float(predict(stack(resnet("resnet152"), "int8"), board).flop) / 2)
    weights = sum(layer.weights for layer in whole.layers[: _cut(whole)])
    return (
        *found,
        Claim(SYSTEM, "weights of the head", 12_480, weights, 0.0, CODE),
        Claim(
            *(SYSTEM, "MACs of the head", 120.6e6, macs, 0.01, CODE),
            within="the pool's comparisons",
        ),
        Claim(SYSTEM, "MACs of the head, of ResNet-152's", 0.0105, share, 4.7e-3, CODE),
    )


def saved(given: Given) -> tuple[Claim, ...]:
    """Seconds and joules at the link on which sending the image is beaten by what is published."""
    nano, server = given.device("jetson-nano"), given.device("xeon-8380")
    channels = given("channels", 3, 12)
    ours, plain = (
        _splits(made, nano, server) for made in (bottlefit(channels), resnet("resnet152"))
    )
    at, last = _cut(bottlefit(channels)), -1
    faster = 1 - ours.time_s[at] / plain.time_s[0]
    here = int(np.argmin(np.abs(faster - 0.55)))
    latency = 1 - ours.time_s[at, here] / plain.time_s[last, here]
    alone, sending = (1 - ours.energy_j[at, here] / plain.energy_j[i, here] for i in (last, 0))
    link = f"at {RATES[here] / 1e6:.1f} MB/s"
    own = "link, server and radio are ours"
    return (
        Claim(
            *(SYSTEM, f"latency saved, of the device alone, {link}", 0.89, float(latency)),
            *(0.05, "abstract"),
            within=own,
        ),
        Claim(
            *(SYSTEM, f"power saved, of sending the image, {link}", 0.37, float(sending)),
            *(0.1, "abstract"),
            within=own,
        ),
        Claim(
            *(SYSTEM, f"power saved, of the device alone, {link}", 0.49, float(alone)),
            *(0.1, "abstract"),
            within=own,
            cause="both savings are the most over two boards and several links, so that they need"
            " not be of one; of joules half is saved of no link where latency falls by 89 %",
        ),
    )


def _cut(network: Network) -> int:
    """Layers that run on the device, which is the place of the cut among all."""
    return next(at for at, cut in enumerate(cuts(network)) if cut.name == CUT)


def _splits(network: Network, near: Hardware, far: Hardware) -> Splits:
    """All cuts over all links."""
    layers = stack(network, "fp32")
    link = Radio("link", RATES, round_trip_s=5e-3, transmit_w=1.0)
    idle_w = float(near.power.idle_w)
    return splits(predict(layers, near), predict(layers, far), cuts(network), link, idle_w=idle_w)


PROGRAMS = (head, saved)
