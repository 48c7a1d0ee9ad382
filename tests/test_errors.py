"""How an error is told."""

from __future__ import annotations

import pytest

from pipeline.errors import BadInput, CheckFailed


@pytest.mark.parametrize("kind", [BadInput, CheckFailed])
def test_an_error_is_one_line_whatever_names_it_quotes(kind: type[Exception]) -> None:
    """Line breaks, terminal codes and lone surrogates are escaped; other languages are not."""
    error = kind("a\nb\r\x1b[31m\ud800 Schlüssel 鍵…")
    assert str(error) == "a\\nb\\r\\x1b[31m\\ud800 Schlüssel 鍵…"


def test_an_error_that_quotes_a_megabyte_is_cut() -> None:
    """Somebody made that name to be long."""
    assert len(str(BadInput("x" * 1_000_000))) < 5000
