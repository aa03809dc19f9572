"""Vocabulary Parallelism (arXiv 2411.05288): both ends of a network on those of a pipeline, or not.

Of the rows that its repository publishes (sail-sg/VocabularyParallelism, exp_one_host.csv): GPT of
32 layers and a width of 3,072 on eight A100, a stage each, 128 micro-batches of a sequence of 2,048
tokens, a vocabulary of 256,000: an iteration takes 11.72 s with bubbles of 57.2 %, where stages
share the vocabulary (its first method) 5.95 s with 6.5 %.
"""

from typing import Any

from hwmodel.einsum.workloads.training import training
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

SYSTEM = "Vocabulary Parallelism"
STAGES, SEQUENCE, VOCABULARY = 8, 2048, 256_000
GPT = {
    **{"model_type": "gpt2", "n_layer": 32, "n_embd": 3072, "n_head": 24},
    **{"n_positions": SEQUENCE, "torch_dtype": "bfloat16", "tie_word_embeddings": False},
}
EFFICIENCY = "how long the vocabulary's product takes of a layer, on an A100"


def step(given: Given, vocabulary: str) -> Any:
    """An iteration with the vocabulary on the "ends" or shared by "stages"."""
    config = {**GPT, "vocab_size": given("words", VOCABULARY)}
    count = given("micro-batches", 128)
    how: dict[str, Any] = {"micro_batch": 1, "pp": STAGES, "zero": 0, "vocabulary": vocabulary}
    work: Any = training(config, SEQUENCE, count, devices=STAGES, **how)
    return predict(work, given.device("a100"))


def shared_vocabulary(given: Given) -> tuple[Claim, ...]:
    """Bubbles of both, and how much faster the shared one is."""
    ends, stages = (step(given, where) for where in ("ends", "stages"))
    source = "exp_one_host.csv, 2,048 tokens and 256,000 words"
    return (
        Claim(
            *(SYSTEM, "bubble, vocabulary on the ends", 0.572, ends.bubble, 0.1, source),
            within=EFFICIENCY,
        ),
        Claim(
            *(SYSTEM, "bubble, vocabulary shared by stages", 0.065, stages.bubble, 0.2, source),
            within="stages that differ by a few percent, as measured",
        ),
        Claim(
            *(SYSTEM, "speed of the shared one over that on the ends", 11.7222 / 5.9511),
            *(ends.step_time_s / stages.step_time_s, 0.1, source),
            within=EFFICIENCY,
        ),
    )


PROGRAMS = (shared_vocabulary,)
