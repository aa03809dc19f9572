"""MCUNetV2 (Lin et al., NeurIPS 2021, arXiv 2110.15352): SRAM and recomputation by patches.

SRAM in KiB, with int8 maps of one byte. Figures printed without a decimal are taken to half a unit.
"""

from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.cnn import cnn
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import EXACT, Claim
from hwmodel.validation.papers.given import Given

SYSTEM = "MCUNetV2"
HALF = 0.5 * (1 + 1e-12)
"""Half of the last printed unit."""
FIGURE = "memory comparison of MobileNetV2 at 224 x 224, repository mit-han-lab/tinyengine"
EXAMPLE = "example vww_patchbased, repository mit-han-lab/tinyengine (n_patches=2, split_index=5)"
TABLE = "measured SRAM on STM32H743, README of mit-han-lab/tinyengine, in kB of 1,000 bytes"


def sram_bytes(network: Stack, chip: Hardware) -> float:
    """Bytes of the arena of maps."""
    (held,) = (store for store in predict(network, chip).stores if store.name == "sram")
    return float(held.needed_bytes)


def macs(network: Stack, chip: Hardware) -> float:
    """Multiply-accumulates, recomputed ones included."""
    return float(predict(network, chip).flop) / 2


def mobilenet(given: Given) -> tuple[Claim, ...]:
    """Peak memory with and without patches, and what is computed again."""
    chip, side = given.device("stm32h743"), given("side of the image", 224, 160)
    whole = cnn("mobilenetv2", resolution=side)
    tiled = cnn("mobilenetv2", resolution=side, patches=given("patches a side", 4, 2), split=13)
    before, after = (sram_bytes(each, chip) / 1024 for each in (whole, tiled))
    return (
        Claim(SYSTEM, "SRAM peak, layer by layer (KiB)", 1372, before, HALF / 1372, FIGURE),
        Claim(SYSTEM, "SRAM peak, 4 x 4 patches (KiB)", 172, after, HALF / 172, FIGURE),
        Claim(SYSTEM, "reduction", 8, before / after, EXACT, FIGURE),
        Claim(
            *(SYSTEM, "MACs of the network with 4 x 4 patches", 1.10),
            *(macs(tiled, chip) / macs(whole, chip), 0.03, FIGURE),
            within="tiles at the border are computed whole here",
        ),
    )


def networks(given: Given) -> tuple[Claim, ...]:
    """Multiply-accumulates and measured SRAM of two networks, and a tile of an example."""
    chip = given.device("stm32h743")
    found: list[Claim] = []
    for name, side, done, measured in (
        ("mcunet-vww1", 80, 11.6, 92),
        ("mcunet-in2", 160, 67.3, 215),
    ):
        network = cnn(name, resolution=given(f"side of the image of {name}", side))
        found += [
            Claim(
                *(SYSTEM, f"MACs of {name} (M)", done, macs(network, chip) / 1e6, 0.005, TABLE),
                within="additions of residuals",
            ),
            Claim(
                *(SYSTEM, f"SRAM of {name} (kB)", measured, sram_bytes(network, chip) / 1e3),
                *(0.05, TABLE),
                within="buffers of kernels beside the arena",
            ),
        ]
    example = cnn("mcunet-vww1", patches=given("patches a side", 2), split=5).layers
    assert example is not None
    tile = example.tiles[0].height
    return (*found, Claim(SYSTEM, "tile of the VWW example", 47, tile, 0.0, EXAMPLE))


PROGRAMS = (mobilenet, networks)
