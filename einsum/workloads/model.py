"""A whole language model from its Hugging Face config: parameters, bytes, and its phases.

`model(...).prefill(batch, prompt)`, `.decode(batch, context)` and `.mixed(...)`, a step of both,
are stacks of stages, one library call each, from embedding to logits. The network is the
architecture's, as blocks (`blocks/`); parameters and bytes are those of the undivided model;
`shard(tp)` has one device's (`shard.py`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from hwmodel.einsum.division import Division
from hwmodel.einsum.network import Served, Stack
from hwmodel.einsum.origin import Origin
from hwmodel.einsum.workloads.blocks.block import Step, together
from hwmodel.einsum.workloads.blocks.further import alone, inner
from hwmodel.einsum.workloads.blocks.joined import alike
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.config import changed, files_beside, read_config, tensors_beside
from hwmodel.einsum.workloads.drafts import OWN, Drafting, Drafts, with_drafts
from hwmodel.einsum.workloads.images import Asked, Vision, images_of, with_images
from hwmodel.einsum.workloads.modifiers.modifier import Modifier, idle, modified
from hwmodel.einsum.workloads.modifiers.named import modifier as modifier_of
from hwmodel.einsum.workloads.phases import (
    Parallel,
    check_said,
    decoding,
    divided,
    drafted,
    kept,
    passes,
    passing,
    prefilling,
    some,
    tokens_of,
    unrouted,
)
from hwmodel.einsum.workloads.policies.following import following, said_of
from hwmodel.einsum.workloads.policies.named import policy
from hwmodel.einsum.workloads.policies.policy import Policy
from hwmodel.einsum.workloads.precision import Precision, precision
from hwmodel.einsum.workloads.quantisation.stored import Stored, differing, scaled
from hwmodel.einsum.workloads.record import Config
from hwmodel.einsum.workloads.serving_stream import Serves
from hwmodel.einsum.workloads.shard import Shard
from hwmodel.einsum.workloads.tensors import checked_against
from hwmodel.einsum.workloads.training_step import Training, trained, wide_of
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount

MADE_OF = (
    *("dtype", "weight_dtype", "kv_dtype", "activation_dtype", "quantise"),
    *("cache_policy", "modifier"),
)
"""Arguments that say what is made of a model, beside what its config says."""
OF_WEIGHTS = ("dtype", "weight_dtype", "quantise")
"""Arguments that say another format of weights than the checkpoint has."""


@dataclass(frozen=True, repr=False)
class Model(Serves):
    """A language model: its config, formats, counts and phases.

    `warnings` tell what reading it had to assume, `read` those of the config alone; stacks and
    estimates carry them on. `files` are the checkpoint's, where they lie beside the config, and
    `asked` the formats that were given. `cache_policy` says which tokens its cache keeps,
    `modifier` what its layers compute of what they would; a `module` predicts a further token.
    """

    name: str
    config: Config
    precision: Precision
    warnings: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    files: Stored | None = None
    asked: tuple[tuple[str, str], ...] = ()
    source: Any = field(default=None, compare=False)
    cache_policy: Policy | None = None
    modifier: Modifier | None = None
    module: bool = False

    def but(self, **changes: Any) -> "Model":
        """The model with other formats, cache policy or modifier, or other values of config keys.

        Raises `UnknownNameError` for a key that is not modelled, `InputError` for a bad value.
        """
        asked = {key: changes.pop(key) for key in MADE_OF if key in changes}
        config = changed(self.name, self.config, changes) if changes else self.config
        files = None if changes else self.files
        return model(replace(self, config=config, files=files), **asked)

    @cached_property
    def network(self) -> Network:
        """Its layers as blocks."""
        whole = self.config.ahead(self.config.network())
        return _changed(alone(whole) if self.module else whole, self.cache_policy, self.modifier)

    def drafting(self, drafts: Drafts) -> "Model":
        """The model that drafts for this one, or its own module."""
        own = replace(self, name=f"{self.name} {OWN}", module=True, files=None)
        return own if drafts.model == OWN else model(drafts.model)

    @cached_property
    def whole(self) -> Shard:
        """The undivided model."""
        return Shard(self.network, self.precision)

    def shard(self, ways: Division | int) -> Shard:
        """One device's share in a division; `InputError` for sizes that do not go.

        A number is that of devices that divide every tensor (tp).
        """
        ways = ways if isinstance(ways, Division) else Division.of({"tp": ways}, where="model")
        if ways.ep > 1 and all(weight.copies == 1 for weight, _ in self.network.weights):
            raise InputError(
                "model: ep: expected a model with experts, over which ep divides; found"
                f" ep={ways.ep}"
            )
        return Shard(self.network, self.precision, ways)

    @property
    def parameters(self) -> int:
        """Exact number of parameters, tied ones once."""
        return self.whole.parameters

    @property
    def parameters_by_part(self) -> dict[str, int]:
        """Parameters of embedding, head, attention, mlp, experts, router, biases, norms."""
        return dict(self.whole.parameters_by_part)

    @property
    def active_parameters(self) -> int:
        """Parameters that one token uses."""
        return self.whole.active_parameters

    @property
    def weight_bytes(self) -> int | float:
        """Bytes of all weights, block scales included: those of the checkpoint's files, if any."""
        return self.whole.weight_bytes if self.files is None else self.files.bytes

    @property
    def kv_bytes_per_token(self) -> int | float:
        """Bytes of keys and values of one token in all layers, while no window has filled."""
        return self.whole.kv_bytes_per_token

    def kv_bytes(self, batch: Amount, tokens: Amount) -> Amount:
        """Bytes of the cache of `batch` sequences of `tokens` each."""
        return self.whole.kv_bytes(batch, tokens)

    @checked
    def prefill(
        self,
        batch: Amount,
        prompt: Amount,
        tp: int = 1,
        routing: str = "uniform",
        exponent: float | None = None,
        cached: Amount | None = None,
        parallel: Parallel = None,
        images: Amount | None = None,
        image_tokens: Amount | None = None,
        image_size: str | None = None,
        draft: Drafting = None,
    ) -> Stack:
        """All kernels from `prompt` tokens per sequence to the last's logits.

        The first `cached` tokens of each are in the cache already (None: none), so that the rest
        runs: a chunk of a prompt, or what follows a prefix. Sizes are counts or arrays of them.
        With `tp` devices, or a `parallel` division, `{"tp": 8, "pp": 2}`, the cascades are one
        device's (of a pipeline one of each stage, in a row), and stages name their collectives.
        `routing` (and `exponent`) is that of `moe.py`. With `images` in each prompt the vision
        tower and what joins it to the text run first; tokens of images are among the prompt's.
        Where images may be of any size, `image_tokens` or `image_size` ("1024x768", height and
        width) says of each how large it is. A `draft` reads the prompts ahead.
        """
        given: dict[str, Any] = {"batch": batch, "prompt": prompt}
        given |= {} if cached is None else {"cached": cached}
        step = prefilling("prefill", batch, prompt, cached, routing, exponent)
        if images is None:
            if image_tokens is not None or image_size is not None:
                raise InputError("prefill: expected images with their size, found none")
            return self._stack("prefill", step, given, tp, parallel, Drafts.said(draft))
        sizes = {"images": images, "image_tokens": image_tokens, "image_size": image_size}
        given |= {name: size for name, size in sizes.items() if size is not None}
        ways = divided(tp, parallel)
        made = self._stack("prefill", step, given, tp, parallel, Drafts.said(draft))
        return with_images(made, self.vision, Asked(images, image_tokens, image_size), step, ways)

    @cached_property
    def vision(self) -> Vision:
        """What reads images; `InputError` and its kin where there is none, or it is not read."""
        if self.source is None:
            raise InputError(f"{self.name}: expected a config with a part for vision, found none")
        config, ignored = self.source
        tower = model(config, part="vision", ignore_keys=ignored, **dict(self.asked))
        how = images_of(config, tower.config, self.network.hidden)
        return Vision(tower.network, tower.precision, tower.warnings, how)

    @checked
    def decode(
        self,
        batch: Amount,
        context: Amount,
        tp: int = 1,
        routing: str = "uniform",
        exponent: float | None = None,
        parallel: Parallel = None,
        draft: Drafting = None,
    ) -> Stack:
        """All kernels of one step that makes one token per sequence.

        `context` is the keys that the new token attends to, itself included; `batch` sequences are
        those of all replicas together. `tp` and `parallel` are those of `prefill`. With a `draft`
        (`drafts.py`) the step verifies what a small model has drafted, and makes as many tokens as
        are right on average; the draft's steps run ahead.
        """
        drafts = drafted(self.name, "decode", self.network, draft)
        step = decoding("decode", batch, context, routing, exponent, drafts)
        given = {"batch": batch, "context": context}
        return self._stack("decode", step, given, tp, parallel, drafts)

    @checked
    def mixed(
        self,
        batch: Amount,
        context: Amount | None = None,
        prompt: Amount | None = None,
        prompts: Amount = 1,
        cached: Amount | None = None,
        tp: int = 1,
        routing: str = "uniform",
        exponent: float | None = None,
        parallel: Parallel = None,
        draft: Drafting = None,
    ) -> Stack:
        """All kernels of one step in which some sequences decode while others read a prompt.

        As engines that cut prompts into chunks run it: `batch` sequences make one token each, with
        `context` keys; `prompts` others read what is not `cached` of a `prompt`, as in `prefill`.
        Products and norms run over all tokens together, attention and recurrences for each group,
        logits for each sequence's last token. Either group may be of 0 sequences, its sizes unsaid.
        With a `draft` the sequences that decode verify, as in `decode`; the draft reads prompts.
        """
        drafts = drafted(self.name, "mixed", self.network, draft)
        said = {"context": context, "prompt": prompt, "cached": cached}
        given = {name: size for name, size in said.items() if size is not None}
        groups: list[Step] = []
        if some("batch", batch, {"context": context}):
            assert context is not None
            groups.append(decoding("mixed", batch, context, routing, exponent, drafts))
        if some("prompts", prompts, {"prompt": prompt}):
            assert prompt is not None
            groups.append(prefilling("mixed", prompts, prompt, cached, routing, exponent))
        if not groups:
            raise InputError("mixed: expected sequences (batch or prompts), found none")
        given |= {"batch": batch, "prompts": prompts}
        return self._stack("mixed", together(*groups), given, tp, parallel, drafts)

    def training(self, sequence: int, global_batch: int, **how: Any) -> Training:
        """One step of training; `how` as `hwmodel.workloads.training` takes it."""
        wide = wide_of(how.get("dtype", "bf16"))
        return trained(model(self, dtype=wide), sequence, global_batch, **how)

    def fullest_bytes(self, share: Shard) -> int | float:
        """Bytes of weights on all devices of a division, if each held as much as the fullest."""
        ways = share.ways
        key = ways.tp, ways.pp, ways.ep, ways.expert_tp, ways.redundant
        if key not in self._fullest:
            held = replace(share, network=inner(share.network)) if self.module else share
            self._fullest[key] = held.fullest_bytes
        return scaled(self._fullest[key] * ways.devices, self.files, self.whole.weight_bytes)

    def held(self, share: Shard) -> Shard:
        """The share of a division that holds the same: of those that do, the first asked for."""
        ways = share.ways
        key = ways.tp, ways.cp, ways.dp, ways.pp, ways.ep, ways.expert_tp, ways.redundant
        return self._shares.setdefault(key, share)

    @cached_property
    def _fullest(self) -> dict[tuple[int, ...], int | float]:
        """Bytes of weights of the fullest device, by the degrees that they depend on."""
        return {}

    @cached_property
    def _shares(self) -> dict[tuple[int, ...], Shard]:
        """Shares that have been asked for, by their degrees."""
        return {}

    def _stack(
        self,
        phase: str,
        step: Step,
        given: dict[str, Any],
        tp: int,
        parallel: Parallel,
        drafts: Drafts | None = None,
    ) -> Stack:
        """The stages of a step, and what made them."""
        ways = divided(tp, parallel)
        options: dict[str, Any] = {"routing": step.routing, "exponent": step.exponent}
        options |= {"tp": tp, "parallel": parallel} | ({"draft": drafts} if drafts else {})
        share, mine = self.shard(ways), passing(step, ways)
        made = self.network.stages(mine, share.share)
        warnings = self.warnings + unrouted(self.name, step, made)
        if self.modifier is not None:
            plain = _changed(self.config.network(), self.cache_policy, None)
            told = idle(f"{self.name}: {phase}", self.modifier)
            warnings += told if alike(made, plain.stages(mine, share.share)) else ()
        origin = Origin("llm", {"config": self, "phase": phase, **given, **options}, llm)
        held = self.held(share)
        makes = self.network.makes * (drafts.tokens if drafts else 1)
        served = Served(
            model=self.name,
            tokens=tokens_of(step, makes),
            makes=makes if step.decoding else None,
            batch=step.sequences,
            **kept(step, held),
            **passes(step, mine, ways),
            weights_bytes=self.fullest_bytes(held),
            positions=self.config.positions,
        )
        made = Stack(f"{self.name} {phase}", made, origin, warnings, served)
        return made if drafts is None else with_drafts(made, drafts, self.drafting)


@checked
def model(
    config: Model | Mapping[str, Any] | str | Path,
    *,
    dtype: str | None = None,
    weight_dtype: str | None = None,
    kv_dtype: str | None = None,
    activation_dtype: str | None = None,
    quantise: str | None = None,
    ignore_keys: Iterable[str] = (),
    as_: str | None = None,
    part: str | None = None,
    cache_policy: Policy | str | None = None,
    modifier: Modifier | str | None = None,
) -> Model:
    """Read a model: a config.json, a directory with one, a dict, a shipped name, or a `Model`.

    `dtype` sets all three formats, the others one each; one that differs from the config's wins,
    with a warning. `quantise` is what a tool would make of the checkpoint: "fp8", "w8a8", "w4a16",
    "nvfp4" (`quantisation/schemes.py`); files beside a config correct it (`tensors.py`).
    `cache_policy` says which tokens are kept: a `Policy`, or as text "razor-attention:full=0.2"
    (`policies/`); `modifier` what layers compute of what they would: a `Modifier`, or as text
    "pbs-attn:density=0.3" (`modifiers/`). `as_` reads a config as one of that model type; `part`
    its "text" or "vision" alone. Raises `InputError` and its kin for what cannot be read.
    """
    given = {
        **{"dtype": dtype, "weight_dtype": weight_dtype, "kv_dtype": kv_dtype},
        **{"activation_dtype": activation_dtype, "quantise": quantise},
    }
    asked = {name: each for name, each in given.items() if each is not None}
    keeping = None if cache_policy is None else policy(cache_policy)
    changing = None if modifier is None else modifier_of(modifier)
    if isinstance(config, Model):
        name, read, warnings = config.name, config.config, config.read
        files, source = config.files, config.source
        if not asked and keeping is changing is None:
            return config
        keeping = config.cache_policy if keeping is None else keeping
        changing = config.modifier if changing is None else changing
        asked = {**dict(config.asked), **asked}
    else:
        name, read, warnings = read_config(config, ignore_keys=ignore_keys, as_=as_, part=part)
        files, source = files_beside(config), (config, tuple(ignore_keys))
        warnings += checked_against(name, read.network, tensors_beside(config, files))
    network = read.network()
    files = None if any(each in asked for each in OF_WEIGHTS) else files
    formats, more = precision(
        *(name, network.weights),
        stated=read.dtype or read.torch_dtype,
        quantised=read.quantization_config,
        files=files,
        **asked,
    )
    if files is not None:
        more = (*more, *differing(name, files, Shard(network, formats).weight_bytes))
    _changed(network, keeping, changing)
    if keeping is not None:
        more = (*more, said_of(name, keeping))
    if changing is not None:
        more = (*more, modified(name, changing))
    told, given = tuple(dict.fromkeys((*warnings, *more))), tuple(asked.items())
    return Model(name, read, formats, told, warnings, files, given, source, keeping, changing)


def _changed(network: Network, keeping: Policy | None, changing: Modifier | None) -> Network:
    """The network whose cache follows a policy, then changed by a modifier."""
    kept = network if keeping is None else following(keeping, network)
    return kept if changing is None else changing.of(kept)


@checked
def llm(
    config: Model | Mapping[str, Any] | str | Path,
    phase: str,
    batch: Amount,
    prompt: Amount | None = None,
    context: Amount | None = None,
    dtype: str | None = None,
    weight_dtype: str | None = None,
    kv_dtype: str | None = None,
    activation_dtype: str | None = None,
    quantise: str | None = None,
    tp: int = 1,
    parallel: Parallel = None,
    routing: str = "uniform",
    exponent: float | None = None,
    ignore_keys: Iterable[str] = (),
    as_: str | None = None,
    part: str | None = None,
    cached: Amount | None = None,
    cache_policy: str | None = None,
    prompts: Amount | None = None,
    images: Amount | None = None,
    image_tokens: Amount | None = None,
    image_size: str | None = None,
    modifier: str | None = None,
    draft: Drafting = None,
) -> Stack:
    """A phase of a model in one call: "prefill" takes `prompt`, "decode" takes `context`.

    "mixed" takes both, and how many `prompts` are read beside the `batch` that decodes.
    """
    read = model(
        config,
        dtype=dtype,
        weight_dtype=weight_dtype,
        kv_dtype=kv_dtype,
        activation_dtype=activation_dtype,
        quantise=quantise,
        ignore_keys=ignore_keys,
        as_=as_,
        part=part,
        cache_policy=cache_policy,
        modifier=modifier,
    )
    sizes = {"context": context, "prompt": prompt, "cached": cached, "prompts": prompts}
    sizes |= {"images": images, "image_tokens": image_tokens, "image_size": image_size}
    said = {n: value for n, value in (sizes | {"draft": draft}).items() if value is not None}
    check_said(phase, said)
    how: dict[str, Any] = {"routing": routing, "exponent": exponent, "tp": tp, "parallel": parallel}
    return getattr(read, phase)(batch, **said, **how)
