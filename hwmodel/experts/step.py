"""What a placement of experts buys: exchanges and layer times, copies that pay, how to parallelise.

A mixture layer on several devices sends tokens to their experts and back. With T tokens in a step
and b bytes a token:

    vanilla    two all-to-alls a layer. A token has a home (T / devices on each); dispatch takes it
               to the device of its expert and combine takes it home.
    coherent   every device keeps the context of all tokens, so that a token stays where its last
               expert was: one all-to-all a layer, of the transitions that cross, and one all-gather
               of the T tokens a step (ExFlow, arXiv 2401.08383).

The time of an exchange comes from a function of the bytes `(devices, devices)`, such as
`all_to_all_s` on a topology; experts take `token_s` for each choice on the busiest device.

Copies: steps that are s seconds shorter pay for c seconds of copying after c / s of them.
Parallelism: r devices that share an expert's tokens receive C r bytes of activations and hold P / E
/ r bytes of its parameters to exchange; C r + P / (E r) is least at r = sqrt(P / (E C)) (derived
for the choice that Tutel makes at run time, arXiv 2206.03382). Pipelining: d chunks of an exchange
of x seconds and experts of y, after each other on the link and on the device, take
(x + y) / d + (d - 1) max(x, y) / d, and d times what each further chunk costs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hwmodel.experts.placement import Placement, device_loads, flows
from hwmodel.experts.statistics import Counts, Routing
from hwmodel.quantity.errors import InputError

Exchange = Callable[[Counts], float]
"""Seconds of an all-to-all with bytes `(devices, devices)`."""

DEGREES = (1, 2, 4, 8)
"""Pipelining degrees that Tutel tries."""


@dataclass(frozen=True)
class StepTimes:
    """Seconds of one step over all layers.

    Attributes:
        vanilla_exchange_s: two all-to-alls in each layer.
        coherent_exchange_s: one all-to-all between layers, and the all-gather.
        experts_s: the busiest device of each layer.
    """

    vanilla_exchange_s: float
    coherent_exchange_s: float
    experts_s: float

    @property
    def vanilla_s(self) -> float:
        """The step with two all-to-alls a layer."""
        return self.vanilla_exchange_s + self.experts_s

    @property
    def coherent_s(self) -> float:
        """The step with context-coherent execution."""
        return self.coherent_exchange_s + self.experts_s


def step_times(
    routing: Routing,
    placed: Placement,
    exchange_s: Exchange,
    *,
    tokens: float,
    token_bytes: float,
    choices: int = 1,
    token_s: float = 0.0,
    gather_s: float = 0.0,
) -> StepTimes:
    """Times of one step of `tokens` tokens, each `token_bytes`, with `choices` experts a token.

    `token_s` is the time of one choice in an expert and `gather_s` that of the all-gather. Layers
    between which no transitions were counted are not in the coherent sum. Raises `InputError`.
    """
    if tokens <= 0 or token_bytes <= 0 or choices < 1 or token_s < 0 or gather_s < 0:
        raise InputError(
            f"step: expected tokens and bytes above 0, found tokens={tokens},"
            f" token_bytes={token_bytes}, choices={choices}, token_s={token_s}"
        )
    sent = tokens * choices * token_bytes
    loads = device_loads(routing, placed)
    shares = loads / loads.sum(axis=1, keepdims=True)
    vanilla_s = 0.0
    for share in shares:
        dispatch = np.tile(sent / placed.devices * share, (placed.devices, 1))
        np.fill_diagonal(dispatch, 0.0)
        vanilla_s += exchange_s(dispatch) + exchange_s(dispatch.T)
    coherent_s = gather_s
    for table in flows(routing, placed).values():
        moved = sent * table / table.sum()
        np.fill_diagonal(moved, 0.0)
        coherent_s += exchange_s(moved)
    experts_s = tokens * choices * token_s * float(shares.max(axis=1).sum())
    return StepTimes(vanilla_s, coherent_s, experts_s)


def break_even_steps(*, copy_s: float, saved_s: float) -> float:
    """Steps after which copying experts has paid; infinite where a step saves nothing."""
    if not copy_s >= 0:
        raise InputError(f"break-even: expected seconds of 0 or more to copy, found {copy_s}")
    return copy_s / saved_s if saved_s > 0 else float("inf")


def sharing_bytes(
    ways: int, *, parameter_bytes: float, activation_bytes: float, experts: int
) -> float:
    """Bytes that a layer exchanges where `ways` devices share each expert: C r + P / (E r)."""
    return activation_bytes * ways + parameter_bytes / (experts * ways)


def sharing_ways(
    *, devices: int, experts: int, parameter_bytes: float, activation_bytes: float
) -> int:
    """How many devices should share an expert: the divisor of devices / experts that moves least.

    `parameter_bytes` P of all experts, `activation_bytes` C that a device sends with one way.
    """
    if devices < 1 or experts < 1 or parameter_bytes <= 0 or activation_bytes <= 0:
        raise InputError(
            f"sharing: expected devices, experts and bytes above 0, found {devices} devices,"
            f" {experts} experts, {parameter_bytes} and {activation_bytes} bytes"
        )
    most = max(1, devices // experts)
    return min(
        (ways for ways in range(1, most + 1) if most % ways == 0),
        key=lambda ways: sharing_bytes(
            ways,
            parameter_bytes=parameter_bytes,
            activation_bytes=activation_bytes,
            experts=experts,
        ),
    )


def pipelined_s(degree: int, *, exchange_s: float, experts_s: float, chunk_s: float = 0.0) -> float:
    """Seconds of an exchange and experts in `degree` chunks, `chunk_s` more for each after one."""
    if degree < 1 or min(exchange_s, experts_s, chunk_s) < 0:
        raise InputError(
            f"pipelining: expected a degree of 1 or more and times of 0 or more, found {degree},"
            f" {exchange_s}, {experts_s}, {chunk_s}"
        )
    longest_s = max(exchange_s, experts_s)
    each_s = (exchange_s + experts_s + (degree - 1) * longest_s) / degree
    return each_s + (degree - 1) * chunk_s


def pipelining_degree(
    *,
    exchange_s: float,
    experts_s: float,
    chunk_s: float = 0.0,
    degrees: Sequence[int] = DEGREES,
) -> int:
    """The degree that takes least time; the smallest of equals."""
    return min(
        degrees,
        key=lambda degree: (
            pipelined_s(degree, exchange_s=exchange_s, experts_s=experts_s, chunk_s=chunk_s),
            degree,
        ),
    )
