"""The kernels of cuDNN 9.19 for a convolution on an H200, and their clocks, read off traces.

Of 26,948 convolutions traced on two H200s (torch 2.11; the L2 cold) some 15,000 are of one group,
and of a kernel that is named: two thirds were fitted; of the rest bulk kernels are 8 % off, copied
ones 6, others 7 to 20. Clusters are those that the library's heuristic says of each
(`cudnn_choice`).
`cudnn_menu` says what the numbers mean.
"""

from collections.abc import Mapping

KINDS: Mapping[int, Mapping[str, tuple[float, ...]]] = {
    2: {
        "bulk": (334, 163, 0.642, 0.271, 0.0533, 0.114, 0.42, 14800, 1.06, 40.1, 1.96),
        "copied": (830, 192, 0, 0.0609, 0.0639),
        "older": (1110, 106, 0.146, 0.458, 0.0717),
        "indexed": (265, 238, 0.0934, 0.389, 0.0261),
        "gathered": (20.2, 0, 0, 1.33, 0),
        "engine": (0.58, 0.0247, 6.25),
        "implicit": (0.316, 0.0265, 6.54),
        "precomputed": (0.475, 0.0184, 13.2),
        "strips": (0, 0.0155, 0, 290),
        "nd": (0.612, 0.0386, 6.25),
        "first": (0.397, 0.00103, 1),
        "direct": (2, 0.1, 1.02, 0, 0.6),
        "adjoint": (5, 0.0139, 3),
        "spread": (3, 0.077, 4),
        "wide": (0, 0.0177, 14.6),
        "volume": (0, 0.0293, 10.2),
        "loose": (0, 0.64, 1.02),
    },
    4: {
        "bulk": (1910, 309, 0.6, 0.322, 0.0228, 0.448, 0.703, 12200, 1.17, 41, 2.9),
        "copied": (0, 218, 0, 0.0514, 0.114),
        "older": (4470, 155, 0.278, 0.397, 0.00973),
        "indexed": (2.72, 291, 0.104, 0, 0),
        "gathered": (174, 41.6, 0, 3, 0),
        "engine": (0.439, 0.0341, 5.13),
        "implicit": (0.583, 0.0272, 0.00126),
        "plain": (0.462, 0.022, 5.28),
        "direct": (0, 0.187, 1.02, 0, 0.915),
        "adjoint": (4.8, 0.0176, 2.3),
        "spread": (0.142, 0.0885, 3),
    },
}
"""Bytes of an element -> kind -> clocks of a block, and for each 1,000 outputs of its tile; what a
slice takes less where no other processor loads; more where rows of channels begin beside 32 bytes
(of gathering kernels: 4); more where windows slide in three directions; more of the last cluster
where its columns are not all there; the share of a block's clocks that is waited for once; clocks
of joining shared sums. Of bulk kernels: clocks of a matrix instruction over the datasheet's, bytes
a clock, and the norm of both. Of the vector units: clocks of an output and of each of its products;
thousands of outputs of a processor below which it waits; clocks of borders for each product; of
each channel."""

START: Mapping[int, Mapping[str, float]] = {
    2: {"copied": 4550.0, "older": 7390.0, "indexed": 8440.0, "gathered": 8250.0}
    | {"engine": 6500.0, "implicit": 6500.0, "adjoint": 6500.0, "spread": 6500.0, "direct": 3000.0}
    | {"wide": 6500.0, "volume": 6500.0, "loose": 6500.0},
    4: {"copied": 5840.0, "older": 8250.0, "engine": 6500.0, "implicit": 6500.0}
    | {"adjoint": 6500.0, "spread": 6500.0, "direct": 3000.0},
}
"""The same -> clocks of a kernel's start with a cold L2, of kinds that start sooner than those that
fetch descriptors of bulk copies (traced)."""
STRIDED: Mapping[int, Mapping[str, tuple[float, ...]]] = {
    2: {
        "bulk": (1.13, 1.11, 943.0, 0.0),
        "copied": (1.06, 1.02, 1580.0, 255.0),
        "older": (1.1, 1.1, 0.0, 0.0),
    },
    4: {
        "bulk": (0.79, 0.82, 2230.0, 0.0),
        "copied": (0.62, 0.74, 0.0, 437.0),
        "older": (1.1, 1.1, 0.0, 0.0),
    },
}
"""The same -> where places lie a stride apart: what a slice takes over one where they do not, of
phases of one point and of more; clocks of a block more, and for each 1,000 outputs of its tile
(least squares of 1,629 traces; 849 of another board are 9 to 12 % off of kernels that copy in bulk
or by threads)."""

MENUS: Mapping[int, str] = {
    2: """
        bulk 64x64x64 1x4 1.08
        bulk 64x64x64 1x7* 1.01
        bulk 64x64x64 1x7 1.01
        bulk 64x64x64 1x8 1.02
        bulk 64x64x64 2x2 1.11
        bulk 64x64x64 2x3* 1.2
        bulk 64x64x64 2x4 1.23
        bulk 64x64x64 3x4 1.26
        bulk 64x64x64 4x1 0.917
        bulk 64x64x64 4x2* 1.14
        bulk 64x64x64 5x1 0.985
        bulk 64x128x32 1x1* 1.96
        bulk 64x128x64 1x4* 0.918
        bulk 64x128x64 1x4 0.918
        bulk 64x128x64 1x7* 0.914
        bulk 64x128x64 2x1 1.04
        bulk 64x128x64 4x2 0.959
        bulk 64x192x32 1x5 0.982
        bulk 64x192x64 1x8* 0.966
        bulk 64x192x64 1x8 0.966
        bulk 128x32x32 1x8 1.37
        bulk 128x64x32 1x8 1.09
        bulk 128x64x32 3x1 1.07
        bulk 128x64x64 1x1 0.961
        bulk 128x64x64 1x7 0.955
        bulk 128x64x64 1x8 0.965
        bulk 128x64x64 4x1* 0.886
        bulk 128x64x64 4x2* 1.06
        bulk 128x64x64 8x1* 0.934
        bulk 128x128x32 1x8* 0.948
        bulk 128x128x32 2x4 0.989
        bulk 128x128x32 4x4 1.07
        bulk 128x128x32 5x1 0.955
        bulk 128x128x64 1x1* 0.865
        bulk 128x128x64 1x2 0.716
        bulk 128x128x64 1x4 0.781
        bulk 128x128x64 1x8* 0.823
        bulk 128x128x64 1x8 0.823
        bulk 128x128x64 2x1* 0.828
        bulk 128x128x64 2x1 0.828
        bulk 128x128x64 2x2 0.833
        bulk 128x128x64 2x4* 0.904
        bulk 128x128x64 4x2 0.906
        bulk 128x128x64 4x4 0.833
        bulk 128x128x64 8x1 0.794
        bulk 128x192x64 1x2 0.85
        bulk 128x192x64 1x8 0.989
        bulk 128x192x64 2x1 0.765
        bulk 128x256x32 1x7 0.979
        bulk 128x256x64 1x2 0.921
        bulk 128x256x64 2x1* 0.92
        bulk 256x32x32 1x8 1.2
        bulk 256x64x32 1x2 0.949
        bulk 256x64x32 1x4 0.949
        bulk 256x64x32 1x7 0.917
        bulk 256x64x32 1x8 0.836
        bulk 256x64x32 3x1* 1.05
        bulk 256x64x32 5x1 0.985
        bulk 256x64x64 1x4 0.912
        bulk 256x64x64 1x5 0.912
        bulk 256x64x64 2x1* 0.883
        bulk 256x96x32 1x4* 1.18
        bulk 256x96x32 1x5 1.05
        bulk 256x96x32 2x2 1.06
        bulk 256x96x32 3x1* 1.01
        bulk 256x96x64 2x1 0.908
        bulk 256x128x32 1x4* 1.01
        bulk 256x128x32 4x2 1.01
        bulk 256x128x64 1x2 0.872
        bulk 256x128x64 1x4 0.911
        bulk 256x128x64 2x1* 0.921
        bulk 256x128x64 2x1 0.921
        copied 64x64x32 1x1 298
        copied 64x64x64 1x1 473
        copied 64x128x32 1x1 379
        copied 64x128x64 1x1 946
        copied 128x64x32 1x1 529
        copied 128x128x32 1x1 538
        copied 256x64x16 1x1 310
        copied 256x64x32 1x1 620
        copied 256x64x64 1x1 1240
        copied 256x128x64 1x1 1990
        older 64x32x64 1x1 320
        older 64x64x64 1x1 406
        older 128x32x32 1x1 240
        older 128x64x32 1x1 427
        older 128x128x64 1x1 1070
        older 256x32x32 1x1 538
        indexed 64x32x64 1x1 380
        indexed 64x64x64 1x1 469
        indexed 64x128x32 1x1 421
        indexed 128x32x32 1x1 314
        indexed 256x64x32 1x1 684
        gathered 128x16x32 1x1 886
        gathered 128x16x64 1x1 1770
        gathered 128x32x16 1x1 478
        gathered 128x32x64 1x1 1050
        engine 32x32x1 1x1 1
        implicit 32x32x1 1x1 1
        precomputed 32x32x1 1x1 1
        strips 32x32x1 1x1 1
        nd 32x32x1 1x1 1
        first 32x32x1 1x1 1
        direct 1x1x1 1x1 1
        adjoint 1x1x1 1x1 1
        spread 1x1x1 1x1 1
        bulk 256x96x32 1x2* 1.18
        bulk 64x32x32 7x1 0.934
        bulk 64x64x64 2x8* 1.26
        wide 64x128x1 1x1 1
        volume 64x128x1 1x1 1
        loose 1x1x1 1x1 1
        """,
    4: """
        bulk 64x32x32 1x1 1.06
        bulk 64x64x32 1x2 1.08
        bulk 64x64x32 1x7* 1.02
        bulk 64x64x32 2x1 0.952
        bulk 64x64x32 4x2* 1.27
        bulk 64x64x32 8x1 0.995
        bulk 64x128x32 1x8 0.969
        bulk 64x192x32 1x8 0.938
        bulk 64x256x32 1x4* 0.954
        bulk 128x32x32 1x1 1.05
        bulk 128x64x32 1x2 1.02
        bulk 128x64x32 1x8 1.02
        bulk 128x64x32 2x2 1.02
        bulk 128x128x32 1x8* 0.883
        bulk 128x128x32 2x1* 0.833
        bulk 128x128x32 4x1 0.767
        bulk 128x192x32 1x2 1
        bulk 256x32x32 1x2 1.2
        bulk 256x64x32 1x4 1.07
        bulk 256x64x32 2x2 1.05
        bulk 256x64x32 3x1 1.05
        bulk 256x64x32 5x1 1.05
        bulk 256x64x32 8x1 1.05
        bulk 256x128x32 2x1* 0.939
        copied 64x128x32 1x1 1220
        copied 128x64x16 1x1 611
        copied 128x128x16 1x1 543
        copied 256x64x16 1x1 629
        copied 256x64x64 1x1 2520
        older 64x32x64 1x1 697
        older 64x64x64 1x1 1390
        older 64x128x32 1x1 702
        older 128x64x32 1x1 702
        older 128x128x16 1x1 532
        indexed 128x128x16 1x1 573
        gathered 128x16x64 1x1 895
        gathered 128x32x16 1x1 884
        gathered 128x32x64 1x1 1790
        engine 32x32x1 1x1 1
        implicit 32x32x1 1x1 1
        plain 32x32x8 1x1 1
        direct 1x1x1 1x1 1
        adjoint 1x1x1 1x1 1
        spread 1x1x1 1x1 1
        """,
}
"""The same -> a kernel a line: kind, tile, blocks of a cluster by columns and by rows ("*": with
room to share sums), clocks of a slice (of bulk kernels and the vector units: over its kind's)."""
