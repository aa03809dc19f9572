"""vLLM's experts: a Triton kernel for each product, rows gathered as they are read.

Blocks take tiles of one expert's rows, padded to whole tiles by a small kernel ahead
(`moe_align_block_size`); the grid holds as many as could be needed, and those beyond return. All of
K is walked by one block. vLLM ships configurations of tiles by numbers of tokens, each the best of
a search on the GPU (vllm, fused_moe/configs), so that the best of a menu is what runs: 16 rows
while experts have few, narrow columns where there would be too few blocks, 128 x 256 in long
prompts.
"""

from hwmodel.machines.gpu.schedules.gemm import GemmTile

MENU = tuple(
    GemmTile(rows, columns, depth, stages=stages, warps=warps)
    for rows, columns, depth, stages, warps in (
        (16, 32, 128, 5, 4),
        (16, 32, 256, 4, 4),
        (16, 64, 256, 4, 4),
        (16, 64, 128, 4, 4),
        (16, 128, 128, 3, 4),
        (32, 64, 128, 4, 4),
        (32, 128, 128, 3, 4),
        (64, 64, 128, 3, 4),
        (64, 128, 64, 4, 4),
        (128, 128, 64, 4, 8),
        (128, 256, 64, 4, 8),
    )
)
