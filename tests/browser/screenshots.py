"""`make screenshots`: the pictures in docs/images, from the fixtures of these tests."""

import asyncio
import math
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, expect

from services.core.status.history import Snapshot
from tests.browser import cases, stories
from tests.browser.browser import chromium
from tests.browser.figures import figures
from tests.browser.stories import Said
from tests.browser.world import World, now, serving

IMAGES = Path(__file__).parents[2] / "docs" / "images"
BEATS = [1.0, 0.92, 1.1, 0.81, 0.95, 1.2, 1.08, 0.9, 1.0, 1.15, 1.05, 0.97]


async def main() -> None:
    """Write them all."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    async with serving(World()) as world, chromium() as browser:
        for age, story in enumerate((cases.medium(), cases.difficult(), stories.refused(), cases.way_of_easy())):
            await world.tell(story, now() - 900 + 150 * age)
        await world.tell(cases.under_way(), now() - 40)
        await past(world)
        case = f"#/cases/{_id(cases.medium())}"
        laptop, phone = {"width": 1280, "height": 800}, {"width": 390, "height": 1_040}
        await shot(world, browser, "dashboard", "#/", laptop)
        await shot(world, browser, "dashboard-dark", "#/", laptop, scheme="dark")
        await shot(world, browser, "dashboard-cases", "#/cases", laptop)
        await shot(world, browser, "dashboard-case", case, laptop | {"height": 1_680})
        await shot(world, browser, "dashboard-phone", "#/", phone)
        await shot(world, browser, "dashboard-phone-case", case, phone)


async def shot(
    world: World,
    browser: Browser,
    name: str,
    place: str,
    size: dict[str, int],
    *,
    scheme: Any = "light",
) -> None:
    """One of them, once the figures have come so often that the lines of the last minutes show."""
    page = await browser.new_page(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    await world.publish(figures(now()))
    await page.goto(world.url + place)
    await page.wait_for_selector("[data-total=open], [data-case], .path")
    if place == "#/":
        await beat(world, page)
    await page.screenshot(path=IMAGES / f"{name}.png")
    await page.close()


async def beat(world: World, page: Page) -> None:
    """The figures of some seconds."""
    for number, pulse in enumerate(BEATS):
        await world.publish(figures(now(), pulse=pulse, duplicates=number))
        await expect(page.locator("[data-panel='Not admitted'] li:last-child b")).to_have_text(str(number))


async def past(world: World) -> None:
    """The totals of an hour, which rise and fall."""
    rates = {each.topic: each.per_minute for each in figures(now()).topics}
    total, begun = 0.0, now() - 3_600
    for minute in range(61):
        total += 1 + 0.3 * math.sin(minute / 9)
        at = begun + 60 * minute
        snapshot = Snapshot(
            at=at,
            seen={topic: round(total * rate) for topic, rate in rates.items()},
            ended=round(204 * total),
            ended_s=204 * total * 262,
            calls=round(4_100 * total),
            usd=0.62 * total,
            tokens_out=round(253_000 * total),
            in_flight=260,
        )
        await world.standings.keep_minute(int(at // 60), snapshot.model_dump_json().encode())


def _id(story: list[Said]) -> str:
    return str(story[0].message.case_id)  # type: ignore[attr-defined]


if __name__ == "__main__":
    asyncio.run(main())
