"""Names of modules: which of them a checkpoint's lists, patterns and expressions mean.

Libraries write names as they please: a whole path, a dotted part of one, a pattern with `*` or `?`,
`re:` and an expression; under the names of Hugging Face's classes or of the authors' own code.
Paths and names are compared in one spelling (`spelled`): wrappers such as `model.language_model`
fall away in front, and words of the same meaning become one (`ffn` is `mlp`, `w1` is `gate_proj`).

Which modules are linear layers is told by name too: no method quantises norms, embeddings, routers
and states unless it names them (`is_linear`).
"""

import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from typing import Any

from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import PATTERN_REPEATS

WRAPPERS = frozenset(
    "model language_model text_model transformer module backbone thinker decoder".split()
)
"""Words that stand in front of the layers, and say nothing of which."""

FRONTS = ("", "model.", "model.language_model.", "language_model.model.")
"""How the path of a layer begins, in one library or another."""

SYNONYMS = {
    **{"ffn": "mlp", "feed_forward": "mlp", "block_sparse_moe": "mlp"},
    **{"attn": "self_attn", "attention": "self_attn", "head": "lm_head"},
    **{"embed": "embed_tokens", "wte": "embed_tokens"},
    **{"w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"},
}
"""A word of a path -> the one that is compared."""

FUSED = {
    "qkv_proj": ("q_proj", "k_proj", "v_proj"),
    "gate_up_proj": ("gate_proj", "up_proj"),
}
"""A product that may stand as one module -> the modules that it joins."""

HEAD = "lm_head"

KEPT = frozenset(
    "embed_tokens wpe embeddings word_embeddings position_embeddings rotary_emb gate router"
    " shared_expert_gate e_score_correction_bias conv1d A_log D dt_bias sinks ln_f ln_1 ln_2"
    " eh_proj shared_head mtp weights_proj indexers_proj".split()
)
"""Words of modules that no method quantises unless it names them; norms have theirs in the name."""

TOWERS = frozenset(
    "visual vision_tower vision_model vision_encoder embed_vision mm_projector"
    " multi_modal_projector audio_tower embed_audio".split()
)
"""Parts beside the language model, which tools for language models leave as they are."""


def is_linear(path: str) -> bool:
    """Whether a module is a linear layer that methods quantise unasked; the head is told apart."""
    return not any(word in KEPT or "norm" in word for word in spelled(path))


def is_beside(path: str) -> bool:
    """Whether a module belongs to a tower beside the language model."""
    return any(word in TOWERS for word in spelled(path))


@lru_cache(maxsize=65_536)
def spelled(path: str) -> tuple[str, ...]:
    """The words of a path in the spelling that is compared."""
    words = path.removesuffix(".weight").split(".")
    while len(words) > 1 and words[0] in WRAPPERS:
        words = words[1:]
    return tuple(SYNONYMS.get(word, word) for word in words)


@lru_cache(maxsize=65_536)
def spellings(path: str) -> tuple[tuple[str, ...], ...]:
    """The words of a path, and those without an expert's number: experts may be one tensor."""
    words = spelled(path)
    for at, word in enumerate(words[1:], 1):
        if words[at - 1] == "experts" and word.isdigit():
            return words, (*words[:at], *words[at + 1 :])
    return (words,)


@dataclass(frozen=True)
class Pattern:
    """A name that a checkpoint gives, and what tells whether it means a module.

    Attributes:
        name: as it is written.
        words: those of a plain name, one tuple for each module that it joins; empty: a pattern.
        matches: whether a pattern means the module of a path.
    """

    name: str
    words: tuple[tuple[str, ...], ...] = ()
    matches: Callable[[str], Any] = lambda path: None

    def means(self, path: str) -> bool:
        """Whether the module of this path is meant."""
        if self.words:
            return any(part in self.words for part in parts(path))
        return bool(self.matches(path))

    def names(self, path: str) -> bool:
        """Whether it is the plain name of this very module, or ends as it does."""
        return any(words[-1] == spelled(path)[-1] for words in self.words)


def parts(path: str) -> Iterator[tuple[str, ...]]:
    """All runs of words of a path, the longest first."""
    for words in spellings(path):
        for length in range(len(words), 0, -1):
            for first in range(len(words) - length + 1):
                yield words[first : first + length]


def pattern(where: str, name: str) -> Pattern:
    """What a name of a list means; `InputError` for an expression that is none, or that is slow."""
    if name.startswith("re:"):
        return Pattern(name, matches=_forms(_expression(where, name, name[3:])))
    if "*" in name or "?" in name:
        whole = translate(".".join(spelled(name))).removesuffix(r"\Z").removesuffix(r"\z")
        match = re.compile(rf"(?s:.*\.)?(?:{whole})(?:\..*)?\Z").match
        return Pattern(name, matches=_globbed(match))
    words = spelled(name)
    joined = [(*words[:-1], part) for part in FUSED.get(words[-1], ())]
    return Pattern(name, (words, *joined))


def _globbed(match: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda path: any(match(".".join(words)) for words in spellings(path))


def expression(where: str, text: str) -> Pattern:
    """An expression that stands without `re:`; errors as of `pattern`."""
    return Pattern(text, matches=_forms(_expression(where, text, text)))


def _forms(match: Callable[[str], Any]) -> Callable[[str], Any]:
    """Whether an expression matches a path as it is written, or as wrappers would write it."""

    def matches(path: str) -> bool:
        return bool(match(path)) or any(
            match(front + ".".join(words)) for words in spellings(path) for front in FRONTS
        )

    return matches


def _expression(where: str, name: str, text: str) -> Callable[[str], Any]:
    what = f"{where}: {shown(name)}"
    if not _quick(text):
        raise InputError(
            f"{what}: expected a regular expression of at most {PATTERN_REPEATS} repetitions"
            f" and as many groups, none of which is repeated; list the modules by name, or"
            " with * and ?"
        )
    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):
            return re.compile(text).match
    except (re.error, OverflowError) as error:
        raise InputError(f"{what} is no regular expression: {error}") from None


def _quick(pattern: str) -> bool:
    """Whether a regular expression surely ends soon on a module's name.

    A repeated group may try exponentially many ways to match, and each further repetition
    multiplies them by the length of the name.
    """
    plain = re.sub(r"\\.|\[\^?\]?[^\]]*\]", "x", pattern, flags=re.DOTALL).replace("(?", "(")
    counts = (len(re.findall(kind, plain)) for kind in (r"[*+{]", r"\?", r"\("))
    return max(counts) <= PATTERN_REPEATS and not re.search(r"\)[*+?{]", plain)
