"""Modules that predict further tokens: what training runs after the last layer, a module a token.

Of DeepSeek-V3 (arXiv 2412.19437, section 2.2): a module norms the hidden states that it is handed
and the embeddings of the tokens one further on, multiplies both together, [2 hidden -> hidden], and
has a layer of its own; embedding, last norm and head are the model's. Checkpoints hold them beside
the model's own parameters (of DeepSeek-V3 14 billion beside 671). Of phases those run one that
draft with it (`drafts`): tokens one further on, again and again where more are drafted.
"""

from dataclasses import replace

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.network import NONE, Layers, Network
from hwmodel.einsum.workloads.blocks.norm import Norm
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.quantity.errors import CoverageError

PATH = "model.mtp"


def last_layer(network: Network) -> tuple[Block, ...]:
    """Blocks of the layer with the highest number."""
    return max(network.layers, key=lambda group: max(group.numbers)).blocks


def with_further(network: Network, count: int, layer: tuple[Block, ...]) -> Network:
    """The network beside which `count` modules with such a layer predict further tokens."""
    hidden = network.hidden
    module = (
        Norm("embedding norm", f"{PATH}.enorm", hidden),
        Norm("hidden norm", f"{PATH}.hnorm", hidden),
        Projection("further", 2 * hidden, hidden, f"{PATH}.eh_proj", part="mtp"),
        *layer,
    )
    return replace(network, module=module, further=count)


def alone(network: Network) -> Network:
    """A module of the network as a network by itself, between the ends that both share."""
    if not network.further:
        raise CoverageError(
            "draft: model=mtp: expected a model with a module that predicts a further token; say"
            " another model, or leave draft out"
        )
    layers = (Layers((0,), network.module),)
    return replace(network, layers=layers, towers=NONE, makes=1, further=0, module=())


def inner(network: Network) -> Network:
    """The same without those ends: what it holds beside the network."""
    return replace(network, before=(), after=())
