"""Every page, narrow and wide, light and dark: no text below a contrast of 4.5:1, and nothing wider than the window."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from services.core.status.figures import Problem
from tests.browser import cases
from tests.browser.conftest import Open
from tests.browser.figures import figures
from tests.browser.world import World, now

FAINT = (Path(__file__).parent / "faint.js").read_text()
"""Texts whose contrast with what is behind them is below 4.5:1."""

TROUBLE = Problem(
    kind="model_away", what="judge", why="401: the key is invalid.", remedy="Run `reasonmed recipes check`."
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
async def test_texts_are_legible_and_nothing_is_cut(world: World, open_page: Open, width: int, scheme: Any) -> None:
    story = cases.medium()
    await world.tell(story, now() - 200)
    await world.publish(figures(now(), problems=(TROUBLE,), circuits={"refiner-medium": "20 dead letters"}))
    case_id = story[0].message.case_id  # type: ignore[attr-defined]
    for place, shown in (("#/", "[data-total=open]"), ("#/cases", "[data-case]"), (f"#/cases/{case_id}", ".path")):
        page = await open_page(world.url + place, viewport={"width": width, "height": 900}, color_scheme=scheme)
        await expect(page.locator(shown).first).to_be_visible()
        await expect(page.locator("#health")).to_be_visible()
        assert await page.evaluate(FAINT) == [], place
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place
