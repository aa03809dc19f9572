"""Memories and layers as text: what is short and by how much, sizes in the unit of their makers."""

from hwmodel.show.held import held, layers_text, stores_text
from hwmodel.spine.estimate import Store


def test_what_is_short_is_said_by_how_much() -> None:
    full = Store("sram", 600 * 1024, 512 * 1024, "layer 3")
    assert held(full) == "sram 600.0 KiB, short by 88.0 KiB"
    assert "short by 88.0 KiB" in stores_text([full])
    assert held(Store("sram", 512, 1024, "")) == "sram 0.5 KiB"
    assert stores_text([]) == ""


def test_a_row_for_each_layer_has_bytes_in_kib_and_counts_in_full() -> None:
    rows = (
        {"layer": "a", "sram_bytes": 2048, "lut": 12345},
        {"layer": "b", "sram_bytes": 0, "lut": 7},
    )
    head, _, first, _ = layers_text(rows).splitlines()
    assert head.split() == ["layer", "sram", "lut"]
    assert first.split() == ["a", "2.0", "KiB", "12,345"]
    assert layers_text(()) == ""
