"""Tables: at a terminal columns are left out, and no letter of the others; piped they are whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from services.cli import console
from services.cli.console import PIPED_WIDTH, Column, many, print_table

COLUMNS = (Column("service"), Column("place"), Column("error", drop=2), Column("written", drop=1))
ROW = ("verifier", "2/17", "x" * 80, "2026-05-17T12:00:00+00:00")


def printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int, *, wide: bool = False
) -> str:
    monkeypatch.setattr(console, "out", Console(width=width))
    print_table(COLUMNS, [ROW], wide=wide)
    return capsys.readouterr().out


@pytest.mark.parametrize(("width", "whole"), [(200, ROW), (80, (*ROW[:2], ROW[3])), (20, ROW[:2])])
def test_columns_are_left_out_and_never_letters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int, whole: tuple[str, ...]
) -> None:
    text = printed(monkeypatch, capsys, width)
    assert all(cell in text for cell in whole)
    assert "…" not in text
    assert not [cell for cell in ROW if cell not in whole and cell in text]


def test_wide_and_pipes_have_every_column(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert all(cell in printed(monkeypatch, capsys, PIPED_WIDTH) for cell in ROW)
    assert all(cell in printed(monkeypatch, capsys, 40, wide=True).replace("\n", "") for cell in ROW)


def test_a_console_that_is_no_terminal_does_not_wrap() -> None:
    assert not console.out.is_terminal
    assert console.out.width == PIPED_WIDTH


@given(st.integers(0, 10_000))
def test_only_one_is_singular(count: int) -> None:
    assert many(count, "case").endswith("case") == (count == 1)
    assert many(count, "reply", "replies").endswith("reply") == (count == 1)
