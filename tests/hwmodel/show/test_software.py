"""Libraries and engines show what they run, in a line that is short and in tables."""

from html import unescape

import pytest

import hwmodel as hw


@pytest.mark.parametrize("name", hw.libraries())
def test_a_library_is_named_in_a_line_and_told_with_its_sources(name: str) -> None:
    library = hw.libraries[name]
    assert repr(library).startswith(f"<Library: {name}: {library.title}")
    assert len(repr(library)) < 300
    html: str = getattr(library, "_repr_html_")()  # noqa: B009
    assert len(html) < 30_000
    for line in library.support:
        assert line.source in str(library)
        assert line.source in unescape(html)


def test_a_library_says_sizes_and_formats_by_generation() -> None:
    told = " ".join(str(hw.libraries["flash-attention-2"]).split())
    assert "head_dim to 256" in told
    assert "fp8 on ada" in " ".join(str(hw.libraries["cublas-fast-accum"]).split())


@pytest.mark.parametrize("name", hw.engines())
def test_an_engine_says_version_fusions_and_what_its_host_costs(name: str) -> None:
    engine = hw.engines[name]
    assert f"{engine.title} {engine.version}" in repr(engine)
    assert len(repr(engine)) < 300
    html: str = getattr(engine, "_repr_html_")()  # noqa: B009
    for said in (" ".join(str(engine).split()), unescape(html)):
        assert f"of up to {engine.graphs.largest:,} tokens" in said
        assert all(fusion.name in said for fusion in engine.fusions)
        assert all(flag in said for flag in engine.flags)
        assert all(name in said for name in engine.host.parameters)
