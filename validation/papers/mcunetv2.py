"""MCUNetV2 (Lin et al., NeurIPS 2021, arXiv 2110.15352): SRAM and recomputation by patches.

SRAM in KiB, with int8 maps of one byte. Figures printed without a decimal are taken to half a unit.
"""

from hwmodel.einsum.workloads.cnn import network
from hwmodel.einsum.workloads.patches import patched
from hwmodel.machines.mcu.arena import peak
from hwmodel.validation.papers.claim import Claim

SYSTEM = "MCUNetV2"
HALF = 0.5 * (1 + 1e-12)
"""Half of the last printed unit."""
FIGURE = "memory comparison of MobileNetV2 at 224 x 224, repository mit-han-lab/tinyengine"
EXAMPLE = "example vww_patchbased, repository mit-han-lab/tinyengine (n_patches=2, split_index=5)"
TABLE = "measured SRAM on STM32H743, README of mit-han-lab/tinyengine, in kB of 1,000 bytes"


def claims() -> tuple[Claim, ...]:
    """Peak memory with and without patches, the tile, and measured SRAM of two networks."""
    mobile = network("mobilenetv2", 224, 1.0, None)
    whole, tiled = patched(mobile), patched(mobile, 4, 13)
    before, after = peak(whole).bytes / 1024, peak(tiled).bytes / 1024
    words = network("mcunet-vww1", None, 1.0, None)
    image = network("mcunet-in2", None, 1.0, None)
    example = patched(words, 2, 5)
    return (
        Claim(SYSTEM, "SRAM peak, layer by layer (KiB)", 1372, before, HALF / 1372, FIGURE),
        Claim(SYSTEM, "SRAM peak, 4 x 4 patches (KiB)", 172, after, HALF / 172, FIGURE),
        Claim(SYSTEM, "reduction", 8, before / after, 1e-9, FIGURE),
        Claim(
            SYSTEM, "MACs of the network with 4 x 4 patches", 1.10, 1 + tiled.overhead, 0.03, FIGURE
        ),
        Claim(SYSTEM, "MACs of mcunet-vww1 (M)", 11.6, words.macs / 1e6, 0.005, TABLE),
        Claim(SYSTEM, "MACs of mcunet-in2 (M)", 67.3, image.macs / 1e6, 0.005, TABLE),
        Claim(
            SYSTEM, "SRAM of mcunet-vww1 (kB)", 92, peak(patched(words)).bytes / 1e3, 0.07, TABLE
        ),
        Claim(
            SYSTEM, "SRAM of mcunet-in2 (kB)", 215, peak(patched(image)).bytes / 1e3, 0.07, TABLE
        ),
        Claim(SYSTEM, "tile of the VWW example", 47, example.tiles[0].height, 0, EXAMPLE),
    )
