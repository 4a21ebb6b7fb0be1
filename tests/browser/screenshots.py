"""`make screenshots`: the pictures in docs/images, from the fixtures of these tests."""

import asyncio
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, expect

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


def _id(story: list[Said]) -> str:
    return str(story[0].message.case_id)  # type: ignore[attr-defined]


if __name__ == "__main__":
    asyncio.run(main())
