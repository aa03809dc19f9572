"""`hwmodel models`: what the shipped models hold, of all or of one."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import hwmodel as hw
from hwmodel.cli import app
from hwmodel.einsum.workloads.config import SHIPPED, shipped_configs
from hwmodel.einsum.workloads.registry import architectures

RUN = CliRunner()


def test_every_shipped_config_has_a_card() -> None:
    assert hw.models().names == shipped_configs()
    said = RUN.invoke(app, ["models"])
    assert said.exit_code == 0
    for name in shipped_configs():
        assert f"{name} " in said.stdout


def test_architectures_that_are_read_are_listed_where_an_unknown_one_says_so() -> None:
    said = " ".join(RUN.invoke(app, ["models"]).stdout.split())
    for name in architectures():
        assert f" {name}," in said or said.endswith(f" {name}")
    with pytest.raises(hw.UnknownNameError) as raised:
        hw.model({"model_type": "qwen3_nxt"})
    told = str(raised.value)
    assert "did you mean 'qwen3_next' or " in told
    assert "`hwmodel models` lists those that are read" in told
    assert "--as llama" in told
    assert "falcon" not in told


def test_a_card_holds_what_is_published_and_what_follows() -> None:
    """Mixtral's paper (arXiv 2401.04088): 47 B parameters, of which a token uses 13 B."""
    cards = {card.name: card for card in hw.models()}
    mixtral, llama = cards["mixtral-8x7b"], cards["llama-3.1-8b"]
    assert round(mixtral.parameters / 1e9) == 47
    assert round(mixtral.active_parameters / 1e9) == 13
    assert llama.active_parameters == llama.parameters == 8_030_261_248
    assert llama.kv_bytes_per_token == 32 * 2 * 8 * 128 * 2  # layers, K and V, heads, size, bytes
    assert llama.weight_bytes == 2 * llama.parameters
    assert llama.context == 131_072
    assert "meta-llama/Llama-3.1-8B" in (llama.source or "")


def test_one_model_is_told_part_by_part() -> None:
    said = RUN.invoke(app, ["models", "mixtral-8x7b"]).stdout
    assert "46,702,792,704" in said
    assert "  router      1,048,576" in said  # 32 layers of 8 x 4096
    assert "131 kB a token in bf16" in said
    assert "mistralai/Mixtral-8x7B-v0.1" in said


def test_a_config_of_ones_own_has_a_card_too(tmp_path: Path) -> None:
    config = json.loads((SHIPPED / "llama-3.2-1b.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 8}))
    told = json.loads(RUN.invoke(app, ["models", str(tmp_path), "--json"]).stdout)
    (whole,) = (card for card in hw.models() if card.name == "llama-3.2-1b")
    assert told["layers"] == 8
    assert told["parts"]["attention"] * 2 == whole.parts["attention"]
    assert told["source"] is None


def test_an_unknown_model_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(hw.UnknownNameError, match="unknown model config 'mixtral-8x7'"):
        hw.ask("models", name="mixtral-8x7")


def test_a_model_can_be_shown_as_a_tool_would_quantise_it() -> None:
    run = RUN.invoke(app, ["models", "llama-3.1-8b", "--quantise", "w4a16", "--json"])
    # 6,979,321,856 linear parameters in 4 bits and 16 for each 128, the rest in bf16
    expected = 6_979_321_856 * (4 + 16 / 128) / 8 + 2 * (8_030_261_248 - 6_979_321_856)
    assert json.loads(run.stdout)["weight_bytes"] == expected


def test_a_config_of_an_unknown_type_has_a_card_where_it_is_read_as_another(tmp_path: Path) -> None:
    given = json.loads((SHIPPED / "llama-3.2-1b.json").read_text(encoding="utf-8"))
    given |= {"model_type": "superlm", "super_width": 7}
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(given))
    refused = RUN.invoke(app, ["models", str(path)])
    assert "--as llama" in str(refused.exception)
    run = RUN.invoke(app, ["models", str(path), "--as", "llama"])
    assert "parameters    1,235,814,400" in run.stdout
    told = " ".join(run.stdout.split())
    assert "model_type 'superlm' read as llama, as asked" in told
    assert "super_width" in told
    passed = hw.ask("models", name=str(path), as_="llama", ignore_keys=["super_width"])
    assert any("'super_width' (value 7) was ignored as asked" in each for each in passed.warnings)


def test_a_part_of_a_config_has_a_card(tmp_path: Path) -> None:
    vision = json.loads((SHIPPED / "vit-base.json").read_text(encoding="utf-8"))
    text = json.loads((SHIPPED / "llama-3.2-1b.json").read_text(encoding="utf-8"))
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"text_config": text, "vision_config": vision}))
    (whole,) = (card for card in hw.models() if card.name == "vit-base")
    assert hw.ask("models", name=str(path), part="vision").parameters == whole.parameters
    assert hw.ask("models", name=str(path)).parameters == 1_235_814_400
    with pytest.raises(hw.InputError, match="part: expected a config that it reads, found none"):
        hw.ask("models", part="vision")


def test_what_does_not_grow_with_a_sequence_is_told() -> None:
    """36 layers keep 32 states of 128 x 128 and 3 columns of 8192, all in bf16."""
    card = hw.ask("models", name="qwen3-next-80b-a3b")
    assert card.state_bytes == 36 * (32 * 128 * 128 * 2 + 3 * 8192 * 2)
    assert "state         39.5 MB a sequence, of any length" in str(card)
    assert hw.ask("models", name="llama-3.1-8b").state_bytes == 0
