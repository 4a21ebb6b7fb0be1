"""docs/metrics.md names every metric that there is, with type, labels and meaning; and no other."""

from pathlib import Path

from tests.exported import metrics

PAGE = Path(__file__).parents[2] / "docs/metrics.md"


def test_the_page_says_what_is_exported() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert rows == [each.row for _, each in metrics()]
    assert all(each.text for _, each in metrics())
