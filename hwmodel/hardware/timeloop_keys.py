"""Keys of a specification's machine: which are read here, which are known, and which are neither.

Attributes are open in both tools: what they do not know themselves goes to a model of energy. So
nothing is refused, and all that changes no answer is told: `Unread` collects it node by node. Names
are those of Timeloop's front end (0.4) and of AccelForge's `Action`, `Component` and `Memory`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hwmodel.quantity.errors import nearest
from hwmodel.quantity.printable import shown
from hwmodel.quantity.yaml import KIND

COMPONENT = {
    "read": "name class subclass attributes spatial constraints sparse_optimizations",
    "known": "required_actions enabled area_scale energy_scale power_gated_at",
}
"""A node of Timeloop."""
ATTRIBUTES = {
    "read": "datawidth word-bits width depth sizeKB entries technology global_cycle_seconds type"
    " read_bandwidth write_bandwidth bandwidth shared_bandwidth metadata_datawidth"
    " metadata_storage_depth metadata_storage_width",
    "known": "latency block_size cluster_size n_banks num_banks n_ports num_ports n_rdwr_ports"
    " n_rd_ports n_wr_ports reduction_supported multiple_buffering allow_overbooking"
    " min_utilization per_dataspace_bandwidth_consumption_scale read_network write_network"
    " network_fill_latency network_drain_latency multiplier_width adder_width num_bits voltage"
    " temperature area energy area_scale energy_scale leak_power has_power_gating power_gated_at"
    " metadata_block_size meshX meshY instances",
}
NODE = {
    "read": "name size actions spatial tensors area area_scale component_class total_latency"
    " bits_per_action energy_scale latency_scale n_parallel_instances type",
    "known": "leak_power leak_power_scale total_leak_power total_area enabled component_model"
    " component_modeling_log bits_per_value_scale skip_initial_output_write direction"
    " extra_attributes_for_component_model",
}
"""A node of AccelForge."""
ACTION = {
    "read": "name energy energy_scale latency latency_scale throughput bits_per_action",
    "known": "extra_attributes_for_component_model",
}
TENSORS = {
    "read": "keep may_keep",
    "known": "back tile_shape no_refetch_from_above no_resend_to_below tensor_order_options"
    " force_memory_hierarchy_order",
}
SECTIONS = {
    "read": "architecture arch problem workload mapping sparse_optimizations variables",
    "known": "mapper components compound_components globals version renames constraints config"
    " mapper_constraints architecture_constraints mapspace mapspace_constraints model",
}
"""Of a specification as a whole."""
SHAPE = {"read": "name dimensions coefficients data_spaces", "known": "version"}
MEMORIES = ("dram", "reg", "rf", "storage", "spad", "scratchpad", "memory", "cache", "latch")
MEMORY_ENDS = ("sram", "buffer", "regfile", "register", "fifo")
"""Words of a memory's class, and ends of such, that its energy's law is of."""


@dataclass
class Unread:
    """What changes no answer, of the nodes so far."""

    known: dict[str, list[str]] = field(default_factory=lambda: {})
    """Key -> the nodes that say it."""
    notes: list[str] = field(default_factory=lambda: [])

    def look(self, where: str, said: Mapping[str, Any], keys: Mapping[str, str]) -> None:
        """Take the keys of a table; one that another value names is read with that."""
        read, known = keys["read"].split(), keys["known"].split()
        values = " ".join(each for each in said.values() if isinstance(each, str))
        for key in said:
            if key in (KIND, *read) or re.search(rf"\b{re.escape(key)}\b", values):
                continue
            if key in known:
                self.known.setdefault(key, []).append(where)
                continue
            near = nearest(key[:100], (*read, *known))
            meant = f"; did you mean {near[0]!r}?" if near else ""
            self.notes.append(f"{where}: {shown(key)} is no key that is known, and not read{meant}")

    def look_class(self, where: str, said: str) -> None:
        """Take a memory's class: one that is no kind of SRAM, register or DRAM is told."""
        words = re.findall(r"[a-z]+", said.lower())
        if words and not any(each in MEMORIES or each.endswith(MEMORY_ENDS) for each in words):
            told = "has no law of its own: joules and area are those of an SRAM of its bytes"
            self.notes.append(f"{where}: class {shown(said)} {told}")

    def told(self) -> tuple[str, ...]:
        """Notes of all that was not read."""
        if not self.known:
            return tuple(self.notes)
        keys = (f"{key} ({', '.join(dict.fromkeys(at))})" for key, at in self.known.items())
        return (*self.notes, f"known, but not read here: {', '.join(keys)}")
