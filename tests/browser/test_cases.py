"""The browser of cases, in a real browser."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser import cases, stories, texts
from tests.browser.conftest import Open
from tests.browser.figures import figures
from tests.browser.stories import Said
from tests.browser.world import World, now, serving

LAPTOP = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def populated() -> AsyncIterator[World]:
    """A world with all the cases in it, which its tests leave as it is."""
    async with serving(World()) as world:
        await world.publish(figures(now()))
        for age, story in enumerate(cases.all_of_them()):
            await world.tell(story, now() - 1_000 + 100 * age)
        yield world


def case_id(story: list[Said]) -> str:
    return str(story[0].message.case_id)  # type: ignore[attr-defined]


async def listed(page: Page) -> None:
    await expect(page.locator(".list li").first).to_be_visible()


async def test_cases_are_filtered_and_the_address_keeps_it(populated: World, open_page: Open) -> None:
    page = await open_page(f"{populated.url}#/cases")
    await expect(page.locator(".list li")).to_have_count(7)
    await page.get_by_label("end").select_option("rejected")
    await expect(page.locator(".list li")).to_have_count(1)
    await expect(page.locator(".list")).to_contain_text("surgical neck")
    assert page.url.endswith("#/cases?end=rejected")

    await page.get_by_label("difficulty").select_option("easy")
    await expect(page.locator("main")).to_contain_text("No case matches.")
    await page.go_back()
    await expect(page.locator(".list")).to_contain_text("surgical neck")
    await expect(page.get_by_label("difficulty")).to_have_value("")

    await page.goto(f"{populated.url}#/cases?source=our-bank&topic=case-accepted")
    await expect(page.locator(".list li")).to_have_count(1)
    await expect(page.get_by_label("source")).to_have_value("our-bank")
    await expect(page.locator("select[name=topic]")).to_have_value("case-accepted")


async def test_a_case_by_its_id_and_back(populated: World, open_page: Open) -> None:
    page = await open_page(f"{populated.url}#/cases?end=refused", forgiven="422")
    await listed(page)
    await page.get_by_label("case id").fill(case_id(cases.medium()))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text(texts.HYPERKALAEMIA)
    await page.go_back()
    await expect(page.locator(".list li")).to_have_count(1)

    await page.get_by_label("case id").fill("case-that-is-none")
    await page.keyboard.press("Enter")
    await expect(page.locator(".empty")).to_contain_text("32 hexadecimal digits")


async def test_a_case_is_shown_as_it_goes_its_way(world: World, open_page: Open) -> None:
    """From before it was seen to its end."""
    page = await open_page(f"{world.url}#/cases/{case_id(cases.way_of_easy())}", forgiven="404")
    await expect(page.locator(".empty")).to_contain_text("No such case")
    await world.tell(cases.way_of_easy(), now())
    await expect(page.get_by_role("heading", level=1)).to_have_text(cases.SCURVY)
    await expect(page.locator(".facts .mark")).to_have_text("open")
    await world.tell(cases.end_of_easy(), now())
    await expect(page.locator(".facts .mark")).to_have_text("accepted")
    await expect(page.locator(".record")).to_contain_text("Without vitamin C collagen is weak")


async def test_paths_side_by_side_with_verdict_reason_and_score(populated: World, open_page: Open) -> None:
    page = await open_page(f"{populated.url}#/cases/{case_id(cases.medium())}")
    plan = page.locator("[data-key='round 0'] .path")
    await expect(plan).to_have_count(9)
    best = plan.first
    await expect(best.locator(".mark")).to_have_text(["correct", "kept"])
    await expect(best.get_by_role("img", name="score 5 of 5")).to_be_visible()
    await expect(best).to_contain_text("Decided by the judge. Protects the membrane first, and says why.")
    await expect(best).to_contain_text("qwen at 0.7")
    await expect(best.locator("footer")).to_contain_text("3 calls · 2,130 tokens in")
    wrong = plan.nth(2)
    await expect(wrong.get_by_role("list", name="Steps in error")).to_contain_text(
        "Step 2: missing alternative (critical). With a QRS of 160 ms calcium has to come first."
    )
    await expect(wrong.locator("mark")).to_have_text(re.compile("^Insulin drives .* hypoglycaemia. $"))
    await expect(wrong.locator(".prose")).to_have_text(texts.INSULIN)
    await expect(plan.nth(4)).to_contain_text("Decided by the answer it states.")
    await expect(plan.nth(4)).to_contain_text("The judge's verdict was correct.")
    await expect(plan.nth(5)).to_contain_text("cut off")
    await expect(plan.nth(7)).to_contain_text("the context is too long for the model")
    assert [await plan.nth(slot).get_attribute("data-kind") for slot in (0, 4, 7)] == ["correct", "error", "unknown"]
    await expect(page.locator(".gold")).to_contain_text("Calcium gluconate")
    await expect(page.locator(".record")).to_have_count(2)
    await expect(page.locator(".record").first).to_contain_text("$0.0061 in all")


async def test_changes_of_refinement_are_shown(populated: World, open_page: Open) -> None:
    page = await open_page(f"{populated.url}#/cases/{case_id(cases.medium())}")
    worse, better = page.locator(".pair").nth(0), page.locator(".pair").nth(1)
    await expect(worse).to_contain_text("2 worse; its parent is kept")
    await expect(better).to_contain_text("2 better; the rewritten one is kept")
    before, after = better.locator(".path").nth(0), better.locator(".path").nth(1)
    await expect(before.locator(".prose")).to_have_text(texts.CALCIUM_THIN)
    await expect(after.locator(".prose")).to_have_text(texts.CALCIUM_MENDED)
    await expect(after.locator("ins").first).to_have_text(", since the broad QRS announces ventricular fibrillation")
    assert "quickly and" in " ".join(await before.locator("del").all_inner_texts())


async def test_rejected_dead_and_refused_cases_say_why(populated: World, open_page: Open) -> None:
    page = await open_page(f"{populated.url}#/cases/{case_id(cases.difficult())}")
    await expect(page.locator(".why").first).to_have_text("no correct path after 2 rounds of the strong model")
    await expect(page.locator("main")).to_contain_text("Gold is disputed")
    await expect(page.locator("[data-key='round 2'] .path")).to_have_count(2)

    await page.goto(f"{populated.url}#/cases/{case_id(cases.dead())}")
    await expect(page.locator(".why")).to_contain_text("too_many_unknown: more than 2 of the plan's 9 paths")
    await expect(page.locator("main")).to_contain_text("reasonmed dead show router 0/0")

    await page.goto(f"{populated.url}#/cases/{case_id(stories.refused())}")
    await expect(page.locator("main")).to_contain_text("Too similar to an earlier question.")
    await page.get_by_role("link", name=re.compile("^case-")).click()
    await expect(page.locator("[data-key='round 0'] .path")).to_have_count(9)


async def test_foreign_text_is_never_markup(populated: World, open_page: Open) -> None:
    page = await open_page(f"{populated.url}#/cases")
    await expect(page.locator(".list")).to_contain_text(texts.SCRIPT)
    await page.goto(f"{populated.url}#/cases/{case_id(cases.script())}")
    await expect(page.get_by_role("heading", level=1)).to_have_text(texts.SCRIPT)
    await expect(page.locator(".pair ins").first).to_be_visible()
    await expect(page.locator(".record")).to_contain_text(texts.SCRIPT)
    assert await page.locator("main img, main script").count() == 0
    assert "taken" not in await page.title()


async def test_all_of_it_by_keyboard(populated: World, open_page: Open) -> None:
    page = await open_page(populated.url)
    await expect(page.locator("[data-topic=case-rejected]")).to_be_visible()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    await page.locator("[data-topic=case-rejected]").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    await expect(page.locator(".list li")).to_have_count(1)
    await page.locator(".list a").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".facts .mark")).to_have_text("rejected")
    paths = page.get_by_role("list", name="Paths")
    await paths.focus()
    await page.keyboard.press("ArrowRight")
    await expect(paths).not_to_have_js_property("scrollLeft", 0)


@pytest.mark.parametrize("size", [PHONE, LAPTOP], ids=["phone", "laptop"])
async def test_nothing_is_wider_than_the_window_in_the_dark(
    populated: World, open_page: Open, size: dict[str, int]
) -> None:
    page = await open_page(populated.url, viewport=size, color_scheme="dark")
    places = {"": "[data-total]", "cases": ".list li", f"cases/{case_id(cases.medium())}": ".path"}
    for place, there in places.items():
        await page.goto(f"{populated.url}#/{place}")
        await expect(page.locator(there).first).to_be_visible()
        await page.evaluate("scrollTo(1000, 0)")
        assert await page.evaluate("scrollX") == 0
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 19, 24)"
