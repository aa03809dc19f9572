"""Keys of a machine's nodes that change no answer, and classes without a law, are told by name."""

from hwmodel.hardware.timeloop import architecture
from tests.hwmodel.hardware.test_timeloop import DRAM, MAC, component, timeloop


def test_what_is_said_and_changes_nothing_is_told() -> None:
    """A key that another one's arithmetic names is read; the nearest that is known is told."""
    said = {"dpeth": 12, "bogus": 7, "n_banks": 4, "lines": 16, "depth": "lines * 8", "width": 8}
    found = architecture(timeloop(DRAM, component("glb", "memristor9", **said), MAC)).notes
    assert found == (
        "glb: 'dpeth' is no key that is known, and not read; did you mean 'depth'?",
        "glb: 'bogus' is no key that is known, and not read",
        "glb: class 'memristor9' has no law of its own: joules and area are those of an SRAM of"
        " its bytes",
        "known, but not read here: n_banks (glb), multiplier_width (mac)",
    )
