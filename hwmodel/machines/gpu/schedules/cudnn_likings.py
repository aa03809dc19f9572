"""What cuDNN 9.19 likes on an H200, and the clocks of its kernels: numbers read off traces.

Of 10,860 convolutions traced on one H200 (torch 2.11, `validation/data/h200/2026-11-29-cv`) the
half for fitting: 2,500 of one group that no plain product takes. `cudnn_menu` says what they mean.
"""

from collections.abc import Mapping

KINDS: Mapping[str, tuple[float, ...]] = {
    "bulk": (967, 84.1, 0.197, 0.298, 0.0851),
    "split": (4300, 40.6, 0.101, 0.264, 0.297),
    "copied": (221, 158, 0.0117, 0.0748, 0.02),
    "older": (971, 104, 0.227, 0.372, 0.142),
    "indexed": (153, 281, 0.0166, 0.239, 0.0552),
    "gathered": (19.8, 2.98, 0.0331, 1.25, 0.028),
    "engine": (0.633, 0.0223, 5.18, 0, 0),
    "implicit": (0.297, 0.0295, 9.35, 0, 0),
    "precomputed": (0.486, 0.0201, 13.3, 0, 0),
    "plain": (0.466, 0.0279, 4.75, 0, 0),
}
"""Kind -> clocks of a block, and for each 1,000 outputs of its tile; what a slice takes less where
no other processor loads; more where rows of channels begin beside 32 bytes (of gathering kernels:
4); more where windows slide in three directions. Of the vector units: clocks of an output and of
each of its products; thousands of outputs of a processor below which it waits."""

MENUS: Mapping[int, str] = {
    2: """
        bulk 64x64x64 280.8 2.33
        bulk 64x128x64 453.5 1.13
        bulk 64x192x64 498.9 0.09
        bulk 128x32x32 281.2 -0.75
        bulk 128x64x32 263.4 -0.33
        bulk 128x64x64 446.8 0.85
        bulk 128x128x32 353.7 0.86
        bulk 128x128x64 642.8 2.81
        bulk 128x192x64 981.6 -0.81
        bulk 128x256x32 697.6 -0.89
        bulk 128x256x64 1303 -0.68
        bulk 256x64x32 425.2 0.81
        bulk 256x64x64 714.1 -1.57
        bulk 256x96x32 662.8 -0.83
        bulk 256x96x64 1004 -1.16
        bulk 256x128x32 714.8 -1.38
        bulk 256x128x64 1256 -0.23
        split 64x128x64 421.8 -0.29
        split 64x192x64 597.5 -0.17
        split 128x64x64 517.1 -0.59
        split 128x128x32 400.4 0.05
        split 128x128x64 769.3 0.99
        split 256x128x64 1360 -0.94
        copied 64x64x32 274.7 -0.94
        copied 64x64x64 406.1 0.94
        copied 64x128x32 355.2 -0.39
        copied 128x128x32 536.1 1.27
        copied 256x64x32 631.5 0.24
        copied 256x128x64 2006 -0.81
        older 64x32x64 311.4 0.54
        older 64x64x64 433.9 -0.09
        older 256x32x32 539.3 -0.28
        indexed 64x32x64 308.6 -0.27
        indexed 64x64x64 486.6 0.36
        indexed 128x32x32 289.5 -0.19
        indexed 256x64x32 670.2 -0.98
        gathered 128x32x16 490 -0.19
        gathered 128x32x64 1013 0.13
        engine 32x32x1 1.026 -0.17
        implicit 32x32x1 0.9471 0.81
        precomputed 32x32x1 0.9167 0.72
        """,
    4: """
        bulk 64x32x32 293.2 -0.49
        bulk 64x64x32 262.1 0.17
        bulk 64x128x32 385.6 0.58
        bulk 64x192x32 512.1 0.99
        bulk 64x256x32 669.2 -0.63
        bulk 128x128x32 648 0.79
        bulk 128x192x32 1099 -0.7
        bulk 256x32x32 838.4 -0.47
        split 64x64x32 302.6 -1.16
        split 128x128x32 623.6 0.5
        copied 128x128x16 542.7 0.49
        older 64x32x64 827.2 0.19
        older 128x64x32 829 -0.43
        older 128x128x16 618.7 -0.06
        indexed 128x128x16 486.3 -0.53
        gathered 128x32x16 1043 0.28
        engine 32x32x1 1.349 0.36
        implicit 32x32x1 0.9802 -0.5
        plain 32x32x8 0.866 0.63
        """,
}
"""Bytes of an element -> a kernel a line: kind, tile, clocks of a slice (of the vector units: over
its kind's), liking."""

LIKINGS: Mapping[int, str] = {
    2: """
        bulk 0.26 -4.23 -0.06 -1.89 -0.79 -0.84 0.13 -0.79 0.22 0.39 -0.09 -0.13 0 0.18
        split -0.95 -3.22 -0.3 -0.09 -0.04 -0.05 0.36 -0.18 1.19 0.16 -0.3 0 1.07 0.7
        copied 0.31 1.73 0.32 1.46 0.57 -1.01 0.2 0.2 -2.73 0.24 -0.69 -0.19 -0.53 -0.18
        older 0.17 -2.03 -0.89 -0.45 -0.2 -0.3 0.76 -0.5 1.1 0.45 0.29 0.27 0.09 0.17
        indexed -1.08 1.76 2.4 -0.95 0.26 1.77 0.41 2.12 0.91 0.1 0.27 -0.6 -0.28 0.6
        gathered -0.06 1.52 -0.92 2.71 -3.94 -2.26 -0.78 0.38 1.33 -0.05 0.48 1.13 -0.5 -0.59
        engine -0.17 -1.71 -0.73 0.39 3.43 -1.94 -0.14 -0.13 -0.19 -2.28 -0.12 -0.52 -0.9 -0.47
        implicit 0.81 3.4 -0.78 -0.48 0.78 2.6 -1.1 -0.12 -0.96 0.88 -0.1 -0.17 0.46 -0.38
        precomputed 0.72 2.77 0.96 -0.69 -0.07 2.03 0.15 -0.98 -0.87 0.12 0.26 0.21 0.6 -0.03
        plain 0 0 0 0 0 0 0 0 0 0 0 0 0 0
        fits -1.48 2.6 0.64 0.41 0.6 0.26 0.05
        """,
    4: """
        bulk 0.24 -2.44 0.58 -0.48 0 -0.13 0.95 -0.1 0.46 -0.13 -0.01 -0.31 0.95 -0.08
        split -0.66 -1.91 0.06 -0.2 0 -0.15 -0.25 -0.31 1.18 0.72 0.25 -0.37 1.28 0.63
        copied 0.49 2.89 -0.68 -1.4 0 -0.07 -0.11 0.58 -1.1 -1.08 0.05 0.5 1.16 0.83
        older -0.3 -2.11 -1.14 -0.56 0 -0.48 0.26 -0.38 -0.13 1.21 0.25 0.56 0.16 0.4
        indexed -0.53 2.3 -0.37 0.41 0 0.82 -0.35 -0.06 0.3 0.76 0.21 -0.17 -0.44 -0.87
        gathered 0.28 0.87 -0.91 0.72 0 -0.22 -0.2 -0.19 -0.5 -1.36 1.02 1.06 -0.9 -0.03
        engine 0.36 -0.09 1.7 0.49 0 -1.06 0.88 -0.1 -0.29 -2.1 -0.45 -0.1 -1.71 -0.51
        implicit -0.5 1.38 0.64 0.02 0 0.54 -0.23 -0.12 -0.27 0.67 -0.93 -0.87 -0.91 -0.64
        precomputed 0 0 0 0 0 0 0 0 0 0 0 0 0 0
        plain 0.63 -0.88 0.12 1 0 0.75 -0.95 0.67 0.35 1.3 -0.39 -0.3 0.41 0.28
        fits -2.82 2.79 -0.58 0.21 -0.19 -0.15 0.07
        """,
}
"""The same -> a kind a line, and its likings of what `cudnn_menu.SEEN` names; last what any kernel
is liked for, in the order of `cudnn_menu.fits`."""
