"""Prices of the user's own stand in place of the catalogue's, and say where they are from."""

from pathlib import Path

import pytest

import hwmodel as hw
from hwmodel.hardware.prices import file, prices
from hwmodel.quantity.errors import HwmodelError
from hwmodel.verbs.doctor import examined


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    file().parent.mkdir()
    return file()


def test_a_price_of_ones_own_is_the_devices(mine: Path) -> None:
    before = hw.device("h200")
    mine.write_text("H200: 2.10 USD/h\nb200: {rent: 4 USD/h, list: 35 kUSD}\n")
    h200, b200 = hw.device("h200"), hw.device("b200")
    assert h200.price.rent_usd_per_hour == 2.10
    assert h200.price.list_usd == before.price.list_usd
    assert h200.title == before.title
    assert str(mine) in h200.sources["price.rent"]
    assert (b200.price.rent_usd_per_hour, b200.price.list_usd) == (4.0, 35e3)
    assert hw.device("h200") is h200
    assert hw.device("h100").price == hw.device("h100 * 2").price
    assert examined().prices == {"h200": "rent 2.1 USD/h", "b200": "rent 4 USD/h, list 35 kUSD"}


def test_a_variant_of_ones_own_has_a_price_by_its_name(mine: Path) -> None:
    folder = mine.parent / "devices"
    folder.mkdir()
    text = "extends: h200\nname: card\ntitle: A card\nkind: gpu\nclock: [1 GHz, x]\nsources: {x: x}"
    (folder / "card.yaml").write_text(text)
    mine.write_text("card: 1 USD/h")
    assert hw.device("card").price.rent_usd_per_hour == 1.0


def test_without_a_file_prices_are_the_catalogues(mine: Path) -> None:
    assert prices() == {}
    mine.write_text("h200: 1 USD/h")
    assert hw.device("h200").price.rent_usd_per_hour == 1.0
    mine.unlink()
    assert "your own" not in hw.device("h200").sources["price.rent"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("h200: 2 GB/s", "h200: rent: expected"),
        ("h200: -2 USD/h", "h200: rent: expected"),
        ("h200: {lease: 2 USD/h}", "expected one of list, rent, reserved, found 'lease'"),
        ("h20o: 2 USD/h", "prices.yaml:? 'h20o'"),
        ("[h200]", "expected a table of devices and prices"),
        ("h200: [", "no valid YAML"),
    ],
)
def test_what_is_no_price_is_refused_with_its_place(mine: Path, text: str, said: str) -> None:
    mine.write_text(text)
    with pytest.raises(HwmodelError, match=said):
        hw.device("h200")
    (why,) = examined().prices.values()
    assert "prices.yaml" in why
