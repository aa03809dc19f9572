"""An engine's own all-reduce between GPUs of a host, inside graphs: a kernel that reads its peers.

vLLM sums small tensors by a kernel of its own (csrc/custom_all_reduce.cuh): every GPU reads the
others' buffers directly, for large ones a share of them and then the sums of the other shares. So

    time = start + 2 (n - 1) / n bytes / (share of a link's rate)

up to a size, from which NCCL is called. Start and share were fitted to public rows of vLLM 0.24 on
H200s (two, four and eight of them; 2 KiB to 16 MiB within 20 %).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hwmodel.einsum.cascade import Collective
from hwmodel.hardware.hardware import Hardware
from hwmodel.network.collectives import FAMILY
from hwmodel.quantity.arithmetic import least, where
from hwmodel.quantity.units import Amount
from hwmodel.spine.estimate import Part


@dataclass(frozen=True)
class AllReduce:
    """Seconds of a start, share of a link's rate, and (GPUs, bytes) up to which it is used."""

    start_s: float
    share: float
    most_bytes: tuple[tuple[int, int], ...]

    def time_s(self, joint: Collective, machine: Hardware) -> Amount | None:
        """Seconds of one; None where NCCL is called whatever the size."""
        most = dict(self.most_bytes).get(int(joint.ranks))
        if joint.op != "all_reduce" or most is None or machine.link is None:
            return None
        rate = self.share * machine.link.bandwidth_bytes_per_s
        moved = 2 * (joint.ranks - 1) / joint.ranks * joint.bytes
        return where(joint.bytes <= most, self.start_s + moved / rate, float("inf"))


def own(
    parts: Sequence[Part], joints: Sequence[Collective], reduce: AllReduce, machine: Hardware
) -> tuple[Part, ...]:
    """The parts, all-reduces by the engine's kernel where it is used and the faster."""
    left = iter(joints)
    found: list[Part] = []
    for part in parts:
        mine = reduce.time_s(next(left), machine) if part.family == FAMILY else None
        if mine is None:
            found.append(part)
            continue
        time_s = least((part.time_s, mine))
        busy_s = {name: least((each, time_s)) for name, each in part.busy_s.items()}
        saved = part.energy_j * time_s / part.time_s
        by_j = {name: each * time_s / part.time_s for name, each in part.energy_by_j.items()}
        found.append(
            replace(
                part,
                time_s=time_s,
                sustained_s=time_s,
                busy_s=busy_s,
                energy_j=saved,
                energy_by_j=by_j,
            )
        )
    return tuple(found)
