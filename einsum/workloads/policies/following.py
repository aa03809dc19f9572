"""The network whose attention follows a cache policy, and what an answer has to tell of it."""

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.evicting import Evicting
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.replaced import replaced
from hwmodel.einsum.workloads.named import options_of
from hwmodel.einsum.workloads.policies.policy import OfChunks, Policy
from hwmodel.quantity.errors import CoverageError


def following(policy: Policy, network: Network) -> Network:
    """The network whose layers keep what the policy says.

    Raises `CoverageError` where no layer has attention with keys and values by head, or all have a
    sliding window already: a policy chooses among tokens that a layer can see.
    """

    def in_layer(layer: int, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        def change(block: Block) -> Block | None:
            if not isinstance(block, Attention) or block.window is not None or block.borrowed:
                return None
            return Evicting(block, policy.classes(layer, block.kv_heads), policy)

        return tuple(replaced(block, change) for block in blocks)

    made = network.changed(in_layer)
    if made == network:
        raise CoverageError(
            f"cache_policy: {policy.NAME}: expected layers that attend to the whole context with"
            " keys and values by head, found none in this model"
        )
    return made


def said_of(where: str, policy: Policy) -> str:
    """What an answer has to tell of a policy."""
    prompts = "cut too" if isinstance(policy, OfChunks) else "attended to in full"
    return (
        f"{where}: its cache follows {policy.NAME} ({options_of(policy)}; {policy.SOURCE}): heads"
        f" of a class are a kernel of their own, prompts are {prompts}, accuracy is not looked at"
    )
