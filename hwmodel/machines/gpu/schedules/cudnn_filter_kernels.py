"""The kernels of cuDNN 9.19 for gradients of filters on an H200, as its heuristic names them.

`cudnn_filters` says what they are and how long they take.
"""

from collections.abc import Mapping

MENUS: Mapping[int, str] = {
    2: """
        bulk 64x64x64 1x3*
        bulk 64x64x64 2x4*
        bulk 64x64x64 3x1*
        bulk 64x64x64 3x2
        bulk 64x64x64 4x2
        bulk 64x64x64 4x2*
        bulk 64x64x64 5x1*
        bulk 64x64x64 6x1*
        bulk 64x64x64 8x1
        bulk 64x64x64 8x1*
        bulk 64x128x64 1x8*
        bulk 64x128x64 3x1*
        bulk 64x128x64 4x1*
        bulk 64x128x64 4x4*
        bulk 64x128x64 6x1*
        bulk 64x128x64 8x1
        bulk 64x256x64 1x4
        bulk 64x256x64 1x5*
        bulk 64x256x64 1x8*
        bulk 64x256x64 3x1*
        bulk 128x64x64 1x2
        bulk 128x64x64 3x1*
        bulk 128x64x64 4x2*
        bulk 128x64x64 5x1*
        bulk 128x64x64 6x1*
        bulk 128x64x64 8x1
        bulk 128x64x64 8x1*
        bulk 128x128x64 1x1
        bulk 128x128x64 1x8
        bulk 128x128x64 2x1*
        bulk 128x128x64 2x4*
        bulk 128x128x64 3x1
        bulk 128x128x64 3x1*
        bulk 128x128x64 4x1*
        bulk 128x128x64 8x1
        bulk 128x128x64 8x2*
        bulk 128x256x64 2x1*
        bulk 128x256x64 4x1*
        bulk 256x64x64 4x1*
        bulk 256x64x64 5x1*
        bulk 256x128x64 2x1*
        bulk 256x128x64 3x1*
        split
        older
        """,
    4: """
        bulk 64x64x32 1x1*
        bulk 64x64x32 3x1
        bulk 64x128x32 2x1*
        bulk 128x64x32 2x1*
        bulk 128x128x32 1x1
        bulk 128x128x32 1x1*
        bulk 128x128x32 2x1*
        bulk 256x64x32 2x1*
        split
        older
        """,
}
"""Bytes of an element -> a kernel a line: kind; of bulk kernels tile (filters by channels by
places) and blocks of a cluster by columns and by rows ("*": with room to share work)."""
