"""How a checkpoint is quantised, module by module: what its config says, whatever its architecture.

    said = quantisation("config", config["quantization_config"], stored="bf16")
    said.of("model.layers.0.mlp.down_proj")   # ModuleFormats(weight="fp8@16384:32", input="fp8")
    said.kv                                   # "fp8", or None: as the activations

Four formats differ: of weights as they are stored (block scales included, under names such as
`int4@128:20`), of activations, of keys and values, and the one that the matrix unit runs in, which
is what the product reads (`input`). Weight-only methods are read in the activations' format.
Modules are known by the paths that Hugging Face gives them (`modules.py`); methods stand in files
of their own (`methods.py`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.quantisation.cache import KEYS as CACHE
from hwmodel.einsum.workloads.quantisation.modules import (
    FUSED,
    HEAD,
    KEPT,
    TOWERS,
    Pattern,
    is_beside,
    is_linear,
    parts,
    spelled,
    spellings,
)
from hwmodel.einsum.workloads.quantisation.rules import EXCLUDED, Rule
from hwmodel.einsum.workloads.quantisation.table import Table
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.printable import printable, shown

LISTED = 8
"""Names that one message lists; more are counted."""


@dataclass(frozen=True)
class Quantisation:
    """Formats of a checkpoint by module.

    Attributes:
        where: how messages call the place that says so.
        stored: format of what is not quantised.
        otherwise: formats of linear layers that no rule means.
        rules: of which the first that means a module decides.
        head: whether the language-model head is a linear layer like others.
        towers: whether layers of towers beside the language model are, too.
        kv: format of keys and values; None: as the activations.
        warnings: what could not be followed.
        exact: formats of modules by their whole path, before all rules.
    """

    where: str
    stored: str
    otherwise: ModuleFormats | None = None
    rules: tuple[Rule, ...] = field(default=(), repr=False)
    head: bool = False
    towers: bool = True
    kv: str | None = None
    warnings: tuple[str, ...] = ()
    exact: Mapping[tuple[str, ...], ModuleFormats] = field(
        default_factory=lambda: {}, repr=False, hash=False
    )

    @property
    def wide(self) -> ModuleFormats:
        """Formats of what is not quantised."""
        return ModuleFormats(self.stored, self.stored)

    def of(self, path: str) -> ModuleFormats:
        """Formats of the module of a path, such as `model.layers.0.self_attn.q_proj`.

        A module that joins others (`gate_up_proj`) has their common format; `CoverageError` where
        they have none.
        """
        found = self._said(path)
        if found is not None:
            return found
        *place, last = path.split(".")
        if last in FUSED:
            joined = {name: self._said(".".join((*place, name))) for name in FUSED[last]}
            if len(set(joined.values())) > 1:
                said = ", ".join(f"{name} {_word(each)}" for name, each in joined.items())
                raise CoverageError(
                    f"{self.where}: {path}: {said}; {last} is one product in one format: ask for"
                    " its parts each"
                )
            (found,) = set(joined.values())
        return found or self._unnamed(path)

    def unmatched(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Names that mean none of these modules, nor one that no method quantises anyway."""
        known = tuple(dict.fromkeys(paths))
        plain = {part for path in known for part in parts(path)}
        return tuple(
            dict.fromkeys(
                rule.pattern.name
                for rule in self.rules
                if not self._is_met(rule.pattern, known, plain) and not _is_kept(rule.pattern)
            )
        )

    def complaints(self, paths: Iterable[str]) -> tuple[str, ...]:
        """What `unmatched` finds, as one warning."""
        names = self.unmatched(paths)
        if not names:
            return ()
        return (f"{self.where}: {listed(names)} name{'s' * (len(names) == 1)} no module here",)

    @property
    def kept(self) -> bool:
        """Whether nothing is quantised."""
        return self.otherwise is None and not self.exact and not any(r.formats for r in self.rules)

    def _said(self, path: str) -> ModuleFormats | None:
        """What is said of a module by name; None where nothing is."""
        for words in spellings(path):
            if words in self.exact:
                return self.exact[words]
        rule = self._first(path)
        if rule is None:
            return None
        by_name = is_linear(path) or rule.pattern.names(path)
        return rule.formats if rule.formats and by_name else self.wide

    def _unnamed(self, path: str) -> ModuleFormats:
        """Formats of a module of which nothing is said by name."""
        if self.otherwise is None or not is_linear(path):
            return self.wide
        if spelled(path)[-1] == HEAD and not self.head:
            return self.wide
        return self.wide if is_beside(path) and not self.towers else self.otherwise

    def _first(self, path: str) -> Rule | None:
        """The first rule that means a module."""
        plain, others = self._index
        places = [plain[part] for part in parts(path) if part in plain]
        best = min(places, default=len(self.rules))
        for at in others:
            if at >= best:
                break
            if self.rules[at].pattern.means(path):
                return self.rules[at]
        return self.rules[best] if best < len(self.rules) else None

    @cached_property
    def _index(self) -> tuple[dict[tuple[str, ...], int], tuple[int, ...]]:
        """Words of plain names -> the first rule that has them; and the rules of patterns."""
        plain: dict[tuple[str, ...], int] = {}
        for at, rule in enumerate(self.rules):
            for words in rule.pattern.words:
                plain.setdefault(words, at)
        others = tuple(at for at, rule in enumerate(self.rules) if not rule.pattern.words)
        return plain, others

    @staticmethod
    def _is_met(pattern: Pattern, paths: tuple[str, ...], plain: set[tuple[str, ...]]) -> bool:
        if pattern.words:
            return any(words in plain for words in pattern.words)
        return any(pattern.means(path) for path in paths)


def quantisation(where: str, given: Mapping[str, Any] | None, stored: str) -> Quantisation:
    """What a table `quantization_config` says; `stored` is the format of what is not quantised.

    The `quantization` of ModelOpt's `hf_quant_config.json` is read alike. Raises `CoverageError`
    for a method, or a scheme of one, that no rule knows; `InputError` for values of another kind.
    """
    if not given:
        return Quantisation(where, stored)
    from hwmodel.einsum.workloads.quantisation.methods import METHODS, named

    place = f"{where}: quantization_config"
    name = named(given)
    if not isinstance(name, str) or name not in METHODS:
        raise CoverageError(
            f"{place}.quant_method: {shown(name)} is not modelled; expected one of"
            f" {', '.join(sorted(METHODS))}, or give weight_dtype and ignore the key"
            " quantization_config"
        )
    table, method = Table(place, given, stored), METHODS[name]
    said = method.read(table)
    excluded = table.patterns(*EXCLUDED) if said.excludes else ()
    unread = sorted({*given} - {"quant_method", *EXCLUDED, *CACHE.split(), *method.keys})
    warnings = [f"{place}: {listed(unread)} {'is' if len(unread) == 1 else 'are'} not read"]
    return Quantisation(
        place,
        stored,
        said.otherwise,
        (*(Rule(pattern) for pattern in excluded), *said.rules),
        said.head,
        said.towers,
        said.kv,
        (*(warnings if unread else ()), *said.warnings),
        said.exact,
    )


def listed(names: Iterable[str], *, plain: bool = False) -> str:
    """Some names, and how many more there are; `plain`: without quotes."""
    every = tuple(names)
    text = ", ".join(printable(name) if plain else shown(name) for name in every[:LISTED])
    return f"{text} and {len(every) - LISTED} more" if len(every) > LISTED else text


def _is_kept(pattern: Pattern) -> bool:
    """Whether a name is of modules that no method quantises, or of towers beside the model."""
    words = [word.strip("*?^$") for word in spelled(pattern.name.removeprefix("re:"))]
    return any(word in (*KEPT, *TOWERS, HEAD) or "norm" in word for word in words)


def _word(formats: ModuleFormats | None) -> str:
    return "as others" if formats is None else formats.weight
