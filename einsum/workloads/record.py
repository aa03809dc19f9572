"""What the config of an architecture says: a record of its modelled keys, and rules for the rest.

The record of an architecture (`architectures/`) declares its modelled keys as fields, under their
Hugging Face names, with the defaults of transformers' configuration class; and makes the network of
them. Other keys are *harmless* (they change values, never counts; most are known by rule: variants
of rotary embedding, dropout, token ids, sampling, how a router scores, epsilons, task heads,
initialisers, switches that are off) or *unsupported* (they change counts in a way that is not
modelled, unless they stand at a neutral value). A key that is none of these is an error that names
it, since a model read half is a model read wrongly.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, TypeAlias, cast

from pydantic import BaseModel, ConfigDict, Field

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.further import last_layer, with_further
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.reading import LAYERS

Count = Annotated[int, Field(strict=True, gt=0, le=2**53)]
Layers = Annotated[int, Field(strict=True, gt=0, le=LAYERS)]
Whole = Annotated[int, Field(strict=True, ge=0, le=2**53)]
Flag = Annotated[bool, Field(strict=True)]

_HARMLESS: Final = frozenset(
    "architectures name transformers_version use_cache max_position_embeddings"
    " original_max_position_embeddings return_dict torchscript use_return_dict id2label label2id"
    " task_specific_params tokenizer_class chunk_size_feed_forward problem_type finetuning_task"
    " gradient_checkpointing is_decoder prefix auto_map pretraining_tp cache_implementation"
    " tf_legacy_loss".split()
)
_RULES: Final = re.compile(
    "|".join(
        (
            r"_.*",  # what transformers notes of itself
            r"rope_.*|rotary_.*base|mrope_.*",  # variants of rotary embedding
            r".*dropout.*|.*_pdrop",
            r"(.*_)?(bos|eos|pad|sep|unk|cls|mask|image|video|audio)_(token|token_id|token_index)",
            r".*_token_ids?|.*_eps(ilon)?",
            r"initiali[sz]er_.*|.*_initiali[sz]er_.*|init_.*",
            r"output_(attentions|hidden_states|router_logits|scores|past)",
            r".*_loss_coef(f|ficient)?|.*aux_loss.*|.*jitter.*|seq_aux",
            r"do_sample|temperature|top_p|num_beams|.*_penalty|(.*_)?no_repeat_.*|min_length|max_length",
            r"routed_scaling_factor|n_group|topk_group|topk_method|scoring_func|.*score_func.*",
            r"router_.*|moe_router_.*|mtp_.*|use_mtp|ep_size|moe_layer_freq",
            r".*_version|classifier_.*|summary_.*|num_labels|num_image_tokens",
        )
    )
)

UNSUPPORTED: Final[Mapping[str, tuple[Any, ...]]] = {
    "is_encoder_decoder": (False,),
    "add_cross_attention": (False,),
    "attention_bias": (False,),
    "mlp_bias": (False,),
    "lm_head_bias": (False,),
    "per_layer_config": (None, {}),
    "cross_attention_hidden_size": (None,),
    "tie_encoder_decoder": (False,),
    "pruned_heads": ({},),
    "partial_rotary_factor": (1, 1.0),
    "query_pre_attn_scalar": (None,),
    "attn_logit_softcapping": (None,),
    "final_logit_softcapping": (None,),
    "no_rope_layers": (None, []),
    "n_shared_experts": (None, 0),
    "num_shared_experts": (None, 0),
    "shared_expert_intermediate_size": (None, 0),
    "vision_config": (None,),
    "text_config": (None,),
    "audio_config": (None,),
}
"""Key -> values at which it changes nothing; an architecture that models one says so by a field."""


FURTHER: Final = (
    *("num_nextn_predict_layers", "num_mtp_layers", "num_mtp_modules", "mtp_num_hidden_layers"),
    *("mtp_num_layers", "num_predict_layers"),
)
"""Keys that say how many modules predict further tokens; the first is the field."""
LEFT_OUT: Final[Mapping[str, str]] = dict.fromkeys(
    FURTHER, "layers that predict further tokens run in training, and to draft (model=mtp), alone"
)
"""Keys whose value, unless it is nothing, means what is not run token by token -> what is told."""


Names: TypeAlias = Mapping[str, str]
Values: TypeAlias = Mapping[str, tuple[Any, ...]]


def state_format(said: str | None) -> str | None:
    """Format of a recurrent state as a config says it; None, the activations', where it does not.

    So allocate vLLM (`mamba_ssm_cache_dtype`: auto) and transformers' caches of Mamba.
    """
    if said is None or said == "auto":
        return None
    return {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}.get(said, said)


class Config(BaseModel):
    """The modelled keys of a config.json that every architecture has; a subclass has its own.

    `HARMLESS` and `NEUTRAL` add to the lists above, `REQUIRED` are keys that may not be null.
    """

    model_config = ConfigDict(
        frozen=True, extra="ignore", protected_namespaces=(), allow_inf_nan=False
    )

    HARMLESS: ClassVar[frozenset[str]] = frozenset()
    NEUTRAL: ClassVar[Values] = {}
    REQUIRED: ClassVar[tuple[str, ...]] = ()
    NULLED: ClassVar[frozenset[str]] = frozenset()
    """Keys of `REQUIRED` that may be null where the config says so."""
    ALIASES: ClassVar[Names] = {}
    """Other names of modelled keys -> the names that fields have."""
    RULES: ClassVar[re.Pattern[str] | None] = None
    """Further keys of a family that cannot change a count."""

    model_type: str
    torch_dtype: str | None = None
    dtype: str | None = None
    quantization_config: dict[str, Any] | None = None
    max_position_embeddings: Any = None
    rope_scaling: Any = None
    rope_parameters: Any = None
    num_nextn_predict_layers: Any = None

    def network(self) -> Network:
        """The layers as lists of blocks."""
        raise NotImplementedError

    def ahead(self, network: Network) -> Network:
        """The network, beside it the modules that predict further tokens, as many as are said."""
        said = self.num_nextn_predict_layers
        count = said if type(said) is int and said > 0 else 0
        if not (network.generates and network.layers):
            return network
        return with_further(network, count, self.further(network))

    def further(self, network: Network) -> tuple[Block, ...]:
        """Blocks of the layer of such a module: those of the last layer."""
        return last_layer(network)

    def check(self, where: str) -> None:
        """What no single key can say: combinations that make no model."""
        for key in self.REQUIRED:
            told = key in self.NULLED and key in self.model_fields_set
            if getattr(self, key) is None and not told:
                raise InputError(f"{where}: expected the key {key!r}, found none")

    def notes(self) -> tuple[str, ...]:
        """What is modelled in part only, for warnings."""
        return ()

    def rotated(self, usual: float = 1.0) -> float:
        """Share of a head's elements that are rotated: `partial_rotary_factor`, wherever it is."""
        tables = (self.rope_parameters, self.rope_scaling)
        said = [getattr(self, "partial_rotary_factor", None)]
        said += [
            cast(Mapping[str, Any], table).get("partial_rotary_factor")
            for table in tables
            if isinstance(table, Mapping)
        ]
        return next((float(each) for each in said if isinstance(each, (int, float))), usual)

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

    @classmethod
    def modelled(cls) -> frozenset[str]:
        """Keys that change counts."""
        return frozenset(cls.model_fields) | frozenset(cls.ALIASES)

    @classmethod
    def harmless(cls, key: str, value: Any) -> bool:
        """Whether a key that is neither modelled nor unsupported cannot change a count."""
        named = (
            key in _HARMLESS
            or key in LEFT_OUT
            or key in cls.HARMLESS
            or _RULES.fullmatch(key) is not None
            or (cls.RULES is not None and cls.RULES.fullmatch(key) is not None)
        )
        return named or value is None or (value is False and key.startswith("use_"))

    @classmethod
    def neutral(cls, key: str) -> tuple[Any, ...] | None:
        """Values at which a key that is not modelled changes nothing; None where it is unknown."""
        return cls.NEUTRAL.get(key, UNSUPPORTED.get(key))
