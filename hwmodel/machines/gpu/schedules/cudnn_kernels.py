"""The kernels of cuDNN 9.19 for a convolution on an H200, and their clocks, read off traces.

Of 16,088 convolutions traced on one H200 (torch 2.11; each launch with grid and time, the L2
cold), 11,000 of one group that no plain product takes: two thirds were fitted; of the rest a kernel
that is known is 10 % off. `cudnn_menu` says what the numbers mean, `cudnn_choice` which kernel is
taken.
"""

from collections.abc import Mapping

KINDS: Mapping[int, Mapping[str, tuple[float, ...]]] = {
    2: {
        "bulk": (508, 114, 0.0893, 0.269, 0.0395, 0.0333),
        "split": (1510, 195, 0, 0.175, 0.0809, 0.181),
        "copied": (541, 200, 0, 0.0511, 0.02),
        "older": (1600, 88.8, 0.0971, 0.453, 0.0481),
        "indexed": (542, 185, 0.102, 0.511, 0.244),
        "gathered": (161, 0, 0, 1.32, 0),
        "engine": (0.514, 0.0287, 4.71),
        "implicit": (0.392, 0.0252, 5),
        "precomputed": (0.54, 0.0186, 13.5),
        "strips": (0, 0.0407, 36.9),
        "nd": (1.25, 0.036, 7.41),
        "first": (0.5, 0.000502, 1),
    },
    4: {
        "bulk": (607, 163, 0.0756, 0.316, 0, 0.293),
        "split": (2510, 0, 0.00284, 0.0101, 0.0205, 0),
        "copied": (3610, 0.00222, 0, 0.0547, 0.02),
        "older": (4810, 160, 0.286, 0.328, 0),
        "indexed": (2870, 124, 0, 0.293, 0),
        "gathered": (0, 109, 0, 1.06, 0),
        "plain": (0.587, 0.0197, 4.69),
    },
}
"""Bytes of an element -> kind -> clocks of a block, and for each 1,000 outputs of its tile; what a
slice takes less where no other processor loads; more where rows of channels begin beside 32 bytes
(of gathering kernels: 4); more where windows slide in three directions; more of the last cluster
where its columns are not all there. Of the vector units: clocks of an output and of each of its
products; thousands of outputs of a processor below which it waits."""

MENUS: Mapping[int, str] = {
    2: """
        bulk 64x64x64 1x1 261.2
        bulk 64x64x64 1x2 345.5
        bulk 64x64x64 1x4 387.2
        bulk 64x64x64 1x7 264.8
        bulk 64x64x64 1x8 261
        bulk 64x64x64 2x2 280.1
        bulk 64x64x64 2x4 308
        bulk 64x64x64 4x1 307.3
        bulk 64x64x64 5x1 292.4
        bulk 64x128x64 1x1 467.8
        bulk 64x128x64 1x4 368.2
        bulk 64x128x64 1x7 412.2
        bulk 64x128x64 2x1 768.1
        bulk 64x192x64 1x8 479.3
        bulk 128x32x32 1x8 287.1
        bulk 128x64x32 1x8 281.6
        bulk 128x64x64 1x7 468.2
        bulk 128x64x64 1x8 447.8
        bulk 128x64x64 4x1 374.1
        bulk 128x64x64 4x2 377.7
        bulk 128x128x32 1x8 324
        bulk 128x128x64 1x1 650.8
        bulk 128x128x64 1x2 545.5
        bulk 128x128x64 1x4 523.5
        bulk 128x128x64 1x8 577.1
        bulk 128x128x64 2x1 846.3
        bulk 128x128x64 2x2 558.6
        bulk 128x128x64 2x4 617.4
        bulk 128x128x64 4x1 629.4
        bulk 128x128x64 4x2 616.8
        bulk 128x192x64 1x8 946.1
        bulk 128x256x32 1x7 607.2
        bulk 128x256x64 1x1 1306
        bulk 128x256x64 1x2 1230
        bulk 256x64x32 1x7 453.9
        bulk 256x64x32 1x8 406.5
        bulk 256x64x32 3x1 393.6
        bulk 256x64x32 5x1 333.4
        bulk 256x64x64 2x1 713.1
        bulk 256x96x32 1x5 576.7
        bulk 256x96x32 2x2 532.5
        bulk 256x96x32 3x1 514.8
        bulk 256x96x64 1x1 998.9
        bulk 256x128x32 1x4 660.1
        bulk 256x128x64 1x1 1262
        bulk 256x128x64 1x2 1270
        bulk 256x128x64 2x1 1252
        split 64x192x64 1x8 502.5
        split 128x64x64 4x1 563.9
        split 128x128x32 1x8 356.9
        split 128x128x64 1x1 702.7
        split 128x128x64 1x4 564
        split 128x128x64 1x8 640.6
        split 128x128x64 2x4 646.7
        split 256x64x32 3x1 363.4
        split 256x96x32 1x1 663.9
        split 256x128x32 1x4 742.6
        split 256x128x64 1x1 1367
        copied 64x64x32 1x1 293.9
        copied 64x64x64 1x1 466.6
        copied 64x128x32 1x1 375
        copied 128x128x32 1x1 536.8
        copied 256x64x32 1x1 616.2
        copied 256x128x64 1x1 1978
        older 64x32x64 1x1 320.6
        older 64x64x64 1x1 403.7
        older 128x128x64 1x1 1057
        older 256x32x32 1x1 533.9
        indexed 64x32x64 1x1 410.7
        indexed 128x32x32 1x1 338.1
        indexed 256x64x32 1x1 691.4
        gathered 128x32x16 1x1 464.4
        gathered 128x32x64 1x1 1077
        engine 32x32x1 1x1 1
        implicit 32x32x1 1x1 1
        precomputed 32x32x1 1x1 1
        strips 32x32x1 1x1 1
        nd 32x32x1 1x1 1
        first 32x32x1 1x1 1
        """,
    4: """
        bulk 64x32x32 1x1 256.6
        bulk 64x64x32 1x7 258.6
        bulk 64x64x32 2x1 271
        bulk 64x128x32 1x8 351.9
        bulk 64x192x32 1x8 466.6
        bulk 64x256x32 1x4 637.9
        bulk 128x64x32 1x8 464.4
        bulk 128x128x32 1x1 615.8
        bulk 128x128x32 1x8 599.1
        bulk 128x128x32 2x1 851.8
        bulk 128x192x32 1x2 1030
        bulk 256x32x32 1x2 985.9
        bulk 256x128x32 2x1 1218
        split 64x64x32 1x7 277.9
        split 64x64x32 4x2 245
        split 64x256x32 2x4 521.8
        split 128x128x32 1x8 623.9
        split 128x128x32 2x1 942.5
        split 256x128x32 2x1 1381
        copied 128x128x16 1x1 545
        copied 256x64x16 1x1 633.6
        older 64x32x64 1x1 755.5
        older 128x64x32 1x1 750.1
        older 128x128x16 1x1 535.2
        indexed 128x128x16 1x1 591.7
        gathered 128x32x16 1x1 880.3
        plain 32x32x8 1x1 1
        """,
}
"""The same -> a kernel a line: kind, tile, blocks of a cluster by columns and by rows, clocks of a
slice (of the vector units: over its kind's)."""
