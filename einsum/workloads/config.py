"""Hugging Face `config.json` files: which keys shape a model, and a record of those that do.

Each architecture sorts the keys of its config into three lists: *modelled* (they change counts),
*harmless* (they change values, never counts) and *unsupported* (they change counts in a way that
is not modelled, unless they stand at the neutral value listed). A key in none of the lists is an
error that names it, since a model read half is a model read wrongly.

Defaults of absent keys are those of the configuration classes of the `transformers` library (4.5x:
LlamaConfig, MistralConfig, MixtralConfig, Qwen2Config, Qwen3Config, Qwen3MoeConfig); where classes
disagree on a size, the key must be present.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.quantity.printable import cut, printable, shown
from hwmodel.quantity.reading import LAYERS, NAME_CHARACTERS, json_table, kind_of, name_of

SHIPPED = Path(__file__).parent / "configs"

_MODELLED = frozenset(
    "model_type hidden_size intermediate_size num_hidden_layers num_attention_heads"
    " num_key_value_heads head_dim vocab_size hidden_act tie_word_embeddings torch_dtype dtype"
    " quantization_config layer_types".split()
)
_HARMLESS = frozenset(
    "_source _name_or_path _commit_hash _attn_implementation _attn_implementation_autoset"
    " architectures name transformers_version bos_token_id eos_token_id pad_token_id sep_token_id"
    " unk_token_id use_cache initializer_range attention_dropout max_position_embeddings"
    " original_max_position_embeddings rope_theta rope_scaling rope_parameters rms_norm_eps"
    " output_attentions output_hidden_states output_router_logits router_aux_loss_coef"
    " router_jitter_noise return_dict torchscript use_return_dict id2label label2id"
    " task_specific_params tokenizer_class chunk_size_feed_forward problem_type finetuning_task"
    " gradient_checkpointing bos_token eos_token is_decoder".split()
)
_UNSUPPORTED: dict[str, tuple[Any, ...]] = {
    "pretraining_tp": (1,),
    "is_encoder_decoder": (False,),
    "add_cross_attention": (False,),
    "cross_attention_hidden_size": (None,),
    "tie_encoder_decoder": (False,),
    "pruned_heads": ({},),
    "auto_map": (None, {}),
    "partial_rotary_factor": (1, 1.0),
    "query_pre_attn_scalar": (None,),
    "attn_logit_softcapping": (None,),
    "final_logit_softcapping": (None,),
    "num_nextn_predict_layers": (None, 0),
    "no_rope_layers": (None, []),
    "n_shared_experts": (None, 0),
    "num_shared_experts": (None, 0),
    "shared_expert_intermediate_size": (None, 0),
    "vision_config": (None,),
    "text_config": (None,),
    "audio_config": (None,),
}
"""Key -> values at which it changes nothing."""


@dataclass(frozen=True)
class Architecture:
    """How the configs of one `model_type` are read, and what its layers have.

    `bias` tells which attention projections carry a bias: "qkv" always, or "attention_bias" when
    that key says so. `window_rule` says how a sliding window is switched on: "key" (the key alone)
    or "use_sliding_window" (that key, and from layer `max_window_layers` on).
    """

    modelled: frozenset[str]
    bias: str = "none"
    qk_norm: bool = False
    mixture: bool = False
    window_rule: str = "none"
    default_window: int | None = None
    default_head_dim: int | None = None

    @property
    def known(self) -> frozenset[str]:
        """Every key that has a place in one of the three lists."""
        return self.modelled | _HARMLESS | frozenset(_UNSUPPORTED)


def _keys(names: str = "") -> frozenset[str]:
    return _MODELLED | frozenset(names.split())


_QWEN_WINDOW = "sliding_window use_sliding_window max_window_layers"
ARCHITECTURES: dict[str, Architecture] = {
    "llama": Architecture(_keys("attention_bias mlp_bias"), bias="attention_bias"),
    "mistral": Architecture(_keys("sliding_window"), window_rule="key", default_window=4096),
    "mixtral": Architecture(
        _keys("sliding_window num_local_experts num_experts_per_tok"),
        window_rule="key",
        mixture=True,
    ),
    "qwen2": Architecture(_keys(_QWEN_WINDOW), bias="qkv", window_rule="use_sliding_window"),
    "qwen3": Architecture(
        _keys(_QWEN_WINDOW + " attention_bias"),
        bias="attention_bias",
        qk_norm=True,
        window_rule="use_sliding_window",
        default_head_dim=128,
    ),
    "qwen3_moe": Architecture(
        _keys(
            _QWEN_WINDOW + " attention_bias num_experts num_experts_per_tok moe_intermediate_size"
            " norm_topk_prob decoder_sparse_step mlp_only_layers"
        ),
        bias="attention_bias",
        qk_norm=True,
        mixture=True,
        window_rule="use_sliding_window",
    ),
}

Count = Annotated[int, Field(strict=True, gt=0, le=2**53)]
Layers = Annotated[int, Field(strict=True, gt=0, le=LAYERS)]
Flag = Annotated[bool, Field(strict=True)]


class Config(BaseModel):
    """The modelled keys of a config.json, under their Hugging Face names."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    model_type: str
    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Layers
    num_attention_heads: Count
    num_key_value_heads: Count | None = None
    head_dim: Count | None = None
    vocab_size: Count
    hidden_act: str = "silu"
    tie_word_embeddings: Flag = False
    torch_dtype: str | None = None
    dtype: str | None = None
    attention_bias: Flag = False
    mlp_bias: Flag = False
    sliding_window: Count | None = None
    use_sliding_window: Flag = False
    max_window_layers: Annotated[int, Field(strict=True, ge=0)] = 28
    layer_types: tuple[str, ...] | None = None
    num_local_experts: Count | None = None
    num_experts: Count | None = None
    num_experts_per_tok: Count | None = None
    moe_intermediate_size: Count | None = None
    norm_topk_prob: Flag = False
    decoder_sparse_step: Count = 1
    mlp_only_layers: tuple[int, ...] | None = None
    quantization_config: dict[str, Any] | None = None
    max_position_embeddings: Any = None
    rope_scaling: Any = None
    rope_parameters: Any = None

    @property
    def positions(self) -> int | None:
        """Tokens of context that the model was made for; None where its config does not say.

        Rotary embeddings may be stretched by a factor (vLLM does the same sum); llama3's are said
        in `max_position_embeddings` already.
        """
        said = self.max_position_embeddings
        if not isinstance(said, int) or isinstance(said, bool) or said < 1:
            return None
        scaling: Any = self.rope_scaling or self.rope_parameters
        if not isinstance(scaling, Mapping):
            return said
        table = cast(Mapping[str, Any], scaling)
        kind, factor = table.get("rope_type", table.get("type")), table.get("factor")
        if kind not in ("yarn", "linear", "dynamic") or not isinstance(factor, (int, float)):
            return said
        base = table.get("original_max_position_embeddings", said)
        stretched = base * factor if isinstance(base, (int, float)) else said
        return max(said, int(stretched)) if stretched < 2**53 else said

    @property
    def architecture(self) -> Architecture:
        """What this `model_type` is known to have."""
        return ARCHITECTURES[self.model_type]

    @property
    def experts(self) -> int | None:
        """Experts per mixture layer, under either of the two names in use."""
        return self.num_local_experts or self.num_experts

    @property
    def windows(self) -> tuple[int | None, ...]:
        """Sliding window of each layer, None where attention sees the whole context."""
        layers = range(self.num_hidden_layers)
        if self.layer_types is not None:
            if "sliding_attention" in self.layer_types and self.sliding_window is None:
                raise InputError(
                    "config: layer_types: 'sliding_attention' expects the key sliding_window, found"
                    " none"
                )
            return tuple(
                self.sliding_window if kind == "sliding_attention" else None
                for kind in self.layer_types
            )
        rule = self.architecture.window_rule
        if rule == "use_sliding_window" and self.use_sliding_window:
            first = 0 if self.model_type == "qwen3_moe" else self.max_window_layers
            return tuple(self.sliding_window if i >= first else None for i in layers)
        return tuple(self.sliding_window if rule == "key" else None for _ in layers)

    @property
    def sparse_layers(self) -> int:
        """Number of layers whose MLP is a mixture of experts."""
        if not self.experts:
            return 0
        return sum(self.is_sparse(layer) for layer in range(self.num_hidden_layers))

    def is_sparse(self, layer: int) -> bool:
        """Whether a layer's MLP is a mixture of experts."""
        if not self.experts or layer in (self.mlp_only_layers or ()):
            return False
        return (layer + 1) % self.decoder_sparse_step == 0


def read_config(
    source: Mapping[str, Any] | str | Path, *, ignore_keys: Iterable[str] = ()
) -> tuple[str, Config, tuple[str, ...]]:
    """Name, modelled keys and warnings of a config: a dict, a path, a directory, a shipped name.

    Raises `InputError` for unreadable files, wrong types and keys that no list has;
    `UnknownNameError` for an architecture that is not known; `CoverageError` for a key that
    changes counts in a way that is not modelled. Keys in `ignore_keys` pass, with a warning each.
    """
    name, where, data = _load(source)
    ignored = frozenset(_names(ignore_keys))
    model_type = data.get("model_type")
    if model_type is None:
        raise InputError(
            f"{where}: expected the key 'model_type', one of {', '.join(sorted(ARCHITECTURES))}"
        )
    if not isinstance(model_type, str) or model_type not in ARCHITECTURES:
        raise UnknownNameError(f"architecture (model_type of {where})", model_type, ARCHITECTURES)
    architecture = ARCHITECTURES[model_type]
    _refuse(where, model_type, architecture, data, ignored)
    warnings = tuple(
        f"{where}: key {key!r} (value {shown(data[key])}) was ignored as asked"
        for key in data
        if key in ignored
    )
    kept = {key: value for key, value in data.items() if key not in ignored}
    if "sliding_window" not in kept and architecture.default_window is not None:
        kept["sliding_window"] = architecture.default_window
    if architecture.default_head_dim is not None:
        kept.setdefault("head_dim", architecture.default_head_dim)
    return name, _validated(where, kept), warnings


def changed(where: str, config: Config, changes: Mapping[str, Any]) -> Config:
    """The config with other values of its modelled keys, checked again."""
    for key in changes:
        if key not in config.architecture.modelled:
            raise UnknownNameError(
                f"modelled key of {config.model_type}", key, config.architecture.modelled
            )
    return _validated(where, {**config.model_dump(exclude_unset=True), **changes})


def _names(ignore_keys: Iterable[str]) -> tuple[str, ...]:
    try:
        names = () if isinstance(ignore_keys, str) else tuple(ignore_keys)
    except TypeError:
        names = (None,)
    if isinstance(ignore_keys, str) or not all(type(name) is str for name in names):
        raise InputError(f"ignore_keys: expected a list of keys, found {shown(ignore_keys)}")
    return cast(tuple[str, ...], names)


def shipped_configs() -> tuple[str, ...]:
    """Names of the configs that come with the package."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.json")))


def _load(source: Mapping[str, Any] | str | Path) -> tuple[str, str, dict[str, Any]]:
    """A short name, how errors call the place, and the parsed object."""
    if isinstance(source, Mapping):
        data = dict(source)
        given = data.get("name") or data.get("_name_or_path") or "config"
        return printable(cut(str(given), NAME_CHARACTERS)), "config", data
    if not isinstance(source, (str, Path)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"model: expected a config, its path or a name, found {shown(source)}")
    path = Path(source)
    if kind_of(path) == "folder":
        path = path / "config.json"
        if kind_of(path) != "file":
            raise InputError(
                f"{name_of(path)}: expected a config.json in this directory, found none"
            )
    elif kind_of(path) != "file":
        shipped = SHIPPED / f"{str(source).lower()}.json"
        if kind_of(shipped) != "file":
            if path.suffix == ".json" or len(path.parts) != 1:
                raise InputError(
                    f"{name_of(path)}: expected a config.json, a directory with one or a shipped"
                    f" name ({', '.join(shipped_configs())}); found no such file"
                )
            raise UnknownNameError("model config", str(source), shipped_configs())
        path = shipped
    name = path.parent.name if path.name == "config.json" else path.stem
    return name, name_of(path), _quantised_beside(path, _parse(path))


def _quantised_beside(path: Path, data: dict[str, Any]) -> dict[str, Any]:
    """The config with what ModelOpt's file beside it says of quantisation; its own keys win."""
    beside = path.parent / "hf_quant_config.json"
    if not beside.is_file():
        return data
    said = _parse(beside).get("quantization")
    if not isinstance(said, dict):
        raise InputError(f"{name_of(beside)}: expected a table 'quantization', found {said!r}")
    own = data.get("quantization_config") or {"quant_method": "modelopt"}
    if not isinstance(own, dict):
        raise InputError(f"{name_of(path)}: quantization_config: expected a table, found {own!r}")
    return data | {"quantization_config": {**cast(dict[str, Any], said), **own}}


def _parse(path: Path) -> dict[str, Any]:
    return json_table(path, "a JSON object of config keys")


def _validated(where: str, data: Mapping[str, Any]) -> Config:
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{where}: {_first_complaint(error)}") from None
    _check(where, config)
    return config


def _refuse(
    where: str,
    model_type: str,
    architecture: Architecture,
    data: Mapping[str, Any],
    ignored: frozenset[str],
) -> None:
    for key, value in data.items():
        if key in ignored or key in architecture.modelled or key in _HARMLESS:
            continue
        if key in _UNSUPPORTED:
            if any(value == neutral for neutral in _UNSUPPORTED[key]):
                continue
            raise CoverageError(
                f"{where}: key {key!r} with value {shown(value)} is not modelled for {model_type};"
                f" neutral values: {', '.join(repr(v) for v in _UNSUPPORTED[key])}"
            )
        raise InputError(
            f"{where}: unknown key {key!r} (value {shown(value)}) for architecture {model_type};"
            f" if it changes neither sizes nor layers, ignore it by name (ignore key {key!r})"
        )


def _check(where: str, config: Config) -> None:
    """What no single key can say: combinations that make no model."""
    if config.hidden_act != "silu":
        raise CoverageError(
            f"{where}: hidden_act: {config.hidden_act!r} is not modelled; expected 'silu'"
        )
    if config.num_key_value_heads is None and config.model_type != "llama":
        raise InputError(f"{where}: expected the key 'num_key_value_heads', found none")
    kv_heads = config.num_key_value_heads or config.num_attention_heads
    if config.num_attention_heads % kv_heads:
        raise InputError(
            f"{where}: num_key_value_heads: expected a divisor of num_attention_heads"
            f" ({config.num_attention_heads}), found {kv_heads}"
        )
    if config.head_dim is None and config.hidden_size % config.num_attention_heads:
        raise InputError(
            f"{where}: hidden_size: expected a multiple of num_attention_heads"
            f" ({config.num_attention_heads}) or a key 'head_dim', found {config.hidden_size}"
        )
    if config.architecture.mixture:
        _check_experts(where, config)
    _check_layers(where, config)


def _check_experts(where: str, config: Config) -> None:
    names = ["num_local_experts"] if config.model_type == "mixtral" else ["num_experts"]
    names += ["num_experts_per_tok"]
    names += ["moe_intermediate_size"] if config.model_type == "qwen3_moe" else []
    for name in names:
        if getattr(config, name) is None:
            raise InputError(f"{where}: expected the key {name!r}, found none")
    experts, picks = config.experts or 0, config.num_experts_per_tok or 0
    if picks > experts:
        raise InputError(
            f"{where}: num_experts_per_tok: expected at most the {experts} experts, found {picks}"
        )


def _check_layers(where: str, config: Config) -> None:
    kinds = config.layer_types
    if kinds is not None and len(kinds) != config.num_hidden_layers:
        raise InputError(
            f"{where}: layer_types: expected one entry for each of the"
            f" {config.num_hidden_layers} layers, found {len(kinds)}"
        )
    for kind in kinds or ():
        if kind not in ("full_attention", "sliding_attention"):
            raise CoverageError(
                f"{where}: layer_types: {kind!r} is not modelled;"
                " expected 'full_attention' or 'sliding_attention'"
            )
    if "sliding_attention" in (kinds or ()) and config.sliding_window is None:
        raise InputError(f"{where}: layer_types: sliding_attention needs the key 'sliding_window'")


def _first_complaint(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"expected the key {key!r}, found none"
    return f"{key}: {first['msg']}, found {shown(first['input'])}"
