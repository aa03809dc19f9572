"""Attention of a layer that runs on text alone, to keys of an image that the layer keeps."""

from dataclasses import dataclass, replace

import numpy as np

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.fewer import of
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.sparse import parted
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.policies.kept import Kept
from hwmodel.einsum.workloads.transformer import kv_write


@dataclass(frozen=True)
class Looking:
    """`attention` whose queries are the tokens `kept`, text, and whose keys are all tokens'.

    Of the others, an image's, keys and values are made and written with the prompt; what is done to
    them between (norms, rotary embedding) is left out. One kernel attends to both.
    """

    attention: Attention
    kept: Kept

    @property
    def words(self) -> str:
        """Its heads, for people."""
        return self.attention.words

    def weights(self) -> tuple[Weight, ...]:
        """Those of the attention."""
        return self.attention.weights()

    def stages(self, step: Step, share: Share) -> Stages:
        """Keys and values of the image, then the attention of text."""
        before, _, behind = parted(self.attention.stages(of(step, self.kept), share))
        return (
            *step.each(lambda one: self._image(one, share)),
            *before,
            *step.each(lambda one: self._scores(one, share)),
            *behind,
        )

    def _scores(self, step: Step, share: Share) -> Stages:
        """Attention of text to everything before it."""
        mine, text = self.attention, replace(of(step, self.kept), context=step.context)
        heads = share.of(mine.query_split), share.of(mine.key_split)
        scores = mine.scores(text, share, *heads, name="attention, image and text")
        return (share.stage(scores, "attention.scores"),)

    def _image(self, step: Step, share: Share) -> Stages:
        """Keys and values of new tokens of the image."""
        mine, new = self.attention, step.queries - of(step, self.kept).queries
        if np.all(np.equal(new, 0)):
            return ()
        sizes = (step.batch, new, share.of(mine.key_split), mine.head_dim)
        write = kv_write(*sizes, share.activation, share.precision.kv, name="image kv write")
        weights = mine.products()[1:]
        return (
            *share.product("image kv", "attention.image kv", step.batch * new, weights),
            share.stage(write, "attention.image kv write", runs=2),
        )

    def cache(self) -> Cache | None:
        """Keys and values of all tokens."""
        return self.attention.cache()
