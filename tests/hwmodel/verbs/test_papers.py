"""`hwmodel papers`: every module with claims is found; a claim that fails is told and counted."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hwmodel import cli
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.validation.gallery import page
from hwmodel.validation.papers.claim import Claim
from hwmodel.verbs import papers as papers_command
from hwmodel.verbs.papers import (
    Papers,
    moves_text,
    papers,
    papers_text,
    record,
    systems,
)


def test_systems_are_the_modules_with_claims() -> None:
    assert "fusemax" in systems()
    assert "claim" not in systems()


def test_an_unknown_system_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'fusemax'"):
        papers(["fusemaxx"])


MINE = """
from hwmodel import predict, workloads
from hwmodel.validation.papers.claim import Claim


def product(given):
    work = workloads.gemm(M=given("rows", 4096), N=4096, K=4096, dtype="bf16")
    seconds = float(predict(work, given.device("h100")).time_s)
    return (Claim("Mine", "seconds of a product", 2e-4, seconds, 0.2, "table 1", within="clocks"),)


PROGRAMS = (product,)
"""


def test_a_file_of_claims_is_run_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "my_claim.py"
    path.write_text(MINE, encoding="utf-8")
    (claim,) = papers(str(path), moves=True)
    assert claim.holds
    assert {"rows", "h100: rates"} <= {move.input for move in claim.moves or ()}
    assert "your file" in page((claim,))
    path = tmp_path / "empty.py"
    path.write_text("NOTHING = 1", encoding="utf-8")
    with pytest.raises(InputError, match=r"empty.py: has no 'PROGRAMS'"):
        papers(str(path))


def test_the_table_says_what_holds() -> None:
    rows = (
        Claim("A", "seconds", 2.0, 2.0, 0.0, "table 1"),
        Claim("A", "joules", 2.0, 3.0, 0.05, "table 2", cause="another buffer"),
        Claim("B", "sums", 2.0, 2.0, 0.0, "by hand", identity=True),
    )
    text = papers_text(rows)
    assert text.startswith(
        "1 of 2 published figures hold, of 1 system; 1 are missed; 1 of 1 identities check"
    )
    assert "A, joules: another buffer" in text
    assert "+50.00%" in text
    assert "NO" in text
    assert "A: table 2" in text
    assert record(rows)[1]["holds"] is False


def test_the_command_fails_where_one_claim_of_several_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = (
        Claim("A", "seconds", 2.0, 2.0, 0.0, "table 1"),
        Claim("A", "joules", 2.0, 3.0, 0.05, "table 2"),
    )

    def status(*claims: Claim) -> int:
        def answered(_: object, **how: bool) -> tuple[Claim, ...]:
            return claims

        monkeypatch.setattr(papers_command, "claimed", answered)
        monkeypatch.setattr(sys, "argv", ["hwmodel", "papers"])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return int(end.value.code or 0)

    assert [status(good, good), status(good, bad), status(bad, bad)] == [0, 1, 1]
    assert "published figures hold" in capsys.readouterr().out


def test_what_moves_claims_is_told_of_each(capsys: pytest.CaptureFixture[str]) -> None:
    found = papers("expert_order", moves=True)
    assert all(each.moves for each in found)
    assert record(found)[0]["moves"][0]["input"] == "tokens"
    text = moves_text(found)
    assert text.startswith("6 of 6 claims move as an input is changed")
    assert "1,201" not in text
    still = replace(found[0], moves=())
    assert Papers(moves=True).status((still,)) == 1
    assert Papers(moves=True).status(found) == 0


def test_the_page_has_what_moves_each_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "claims.html"
    monkeypatch.setattr(sys, "argv", ["hwmodel", "papers", "expert_order", "--html", str(path)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    text = path.read_text(encoding="utf-8")
    assert text.count("inputs move it") == 6
    assert "M3ViT" in text
