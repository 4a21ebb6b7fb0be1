"""The dashboard's first page in a real browser, before the gateway as it is."""

from playwright.async_api import Locator, Page, expect

from services.contracts.topics import lane_of, topics
from services.core.status.figures import Ends
from tests.browser.conftest import Open
from tests.browser.figures import figures, nothing
from tests.browser.world import World, now, serving


def total(page: Page, name: str) -> Locator:
    return page.locator(f"[data-total='{name}'] dd:not(.note)")


async def test_every_topic_and_service_is_drawn_with_its_figures(world: World, open_page: Open) -> None:
    await world.publish(figures(now()))
    page = await open_page(world.url)
    await expect(page.locator("[data-topic=paths-generated]")).to_contain_text("251/min")
    await expect(page.locator("[data-topic=paths-generated]")).to_contain_text("311 open · lag 311")
    await expect(page.locator("[data-topic=record-completed]")).to_contain_text("lag 640")
    await expect(page.locator("[data-service=verifier]")).to_contain_text("128 calls")
    await expect(page.locator("[data-service=verifier]")).to_contain_text("14 dead")
    for topic in topics().values():
        if topic.message != "dead_letter" and lane_of(topic.name) == "live":  # its figures count both lanes
            await expect(page.locator(f"[data-topic={topic.name}]")).to_have_count(1)

    await expect(total(page, "spent")).to_have_text("$2,036")
    await expect(page.locator("[data-total=spent]")).to_contain_text("$2,932 left of $5,000")
    dearest = page.locator("[data-panel='Spent on calls'] tbody tr").first
    await expect(dearest).to_contain_text("deepseekgenerate$611.90")
    await expect(page.locator("[data-panel='Cost per record'] tr.difficult")).to_contain_text("$0.0613,690 records")
    await expect(page.locator("[data-panel='Not admitted']")).to_contain_text("near duplicate1,118")
    spared = page.locator("[data-panel='Not paid for'] tbody tr")
    await expect(spared).to_contain_text(["sampling116K$399", "judging115K$59.52", "remembered9,270$32.06"])
    agreement = page.locator("[data-panel='Judge and stated answer'] tbody tr").first
    await expect(agreement).to_contain_text("qwen3.2%3,110 of 98,2002.2%212 of 9,840")


async def test_a_topic_that_it_does_not_know_is_shown(world: World, open_page: Open) -> None:
    await world.publish(figures(now()))
    added = {"topic": "case-postponed", "description": "New.", "message": "case", "written_by": ["router"]}
    more = {"read_by": ["generator"], "group": None, "retention_days": 30, "compacted": False}
    page = await open_page(world.url)
    await page.route("**/topics", lambda route: route.fulfill(json=[added | more]))
    await page.reload()
    await expect(page.locator(".beside")).to_contain_text("case-postponed")
    await expect(page.locator(".beside")).to_contain_text("router → generator")


async def test_figures_change_without_a_reload(world: World, open_page: Open) -> None:
    await world.publish(figures(now()))
    page = await open_page(world.url)
    await expect(total(page, "accepted")).to_have_text("45,406")
    await page.locator("details.rows summary").click()

    await world.publish(figures(now(), ends=Ends(accepted=45_407), circuits={"refiner-medium": "20 dead letters"}))
    await expect(total(page, "accepted")).to_have_text("45,407")
    await expect(page.locator("[data-service=refiner].broken")).to_contain_text("circuit open")
    await expect(page.locator("[data-panel=Circuits]")).to_contain_text("reasonmed circuit close refiner-medium")
    await expect(page.locator("details.rows table")).to_be_visible()  # what was folded out stays so


async def test_it_connects_again_when_the_stream_breaks(world: World, open_page: Open) -> None:
    await world.publish(figures(now()))
    page = await open_page(world.url, forgiven="ERR_")
    await expect(total(page, "open")).to_have_text("510")
    await world.stop()
    await expect(page.locator("#banner")).to_contain_text("Connecting again")
    await world.publish(figures(now(), open=511))
    await world.start()
    await expect(total(page, "open")).to_have_text("511")
    await expect(page.locator("#banner")).to_be_hidden()


async def test_a_page_that_is_not_seen_keeps_no_connection(world: World, open_page: Open) -> None:
    await world.publish(figures(now()))
    page = await open_page(world.url)
    await expect(total(page, "open")).to_have_text("510")
    hide = "(on) => {Object.defineProperty(document, 'hidden', {value: on, configurable: true});"
    hide += "document.dispatchEvent(new Event('visibilitychange'))}"
    await page.evaluate(hide, True)
    await expect(page.locator("#link")).to_have_text("connecting")
    await world.publish(figures(now(), open=511))
    await page.evaluate(hide, False)
    await expect(total(page, "open")).to_have_text("511")
    await expect(page.locator("#link")).to_have_text("live")


async def test_old_figures_say_so_and_a_store_that_is_away_too(world: World, open_page: Open) -> None:
    await world.publish(figures(now() - 3_600))
    page = await open_page(world.url)
    await expect(page.locator("#banner")).to_contain_text("over 60 min old")
    await world.publish(figures(now()))
    await expect(page.locator("#banner")).to_be_hidden()
    world.standings.away = "the store: away"
    await expect(page.locator("#banner")).to_contain_text("status store does not answer")


async def test_an_empty_page_has_instructions(world: World, open_page: Open) -> None:
    page = await open_page(world.url)
    await expect(page.locator(".empty")).to_contain_text("python -m services.monitor")
    await world.publish(nothing(now()))
    await expect(page.locator("main")).to_contain_text("reasonmed submit questions.jsonl")


async def test_it_asks_for_a_key_where_one_is_needed_and_keeps_it(open_page: Open) -> None:
    async with serving(World(keys=["the-key"])) as world:
        await world.publish(figures(now()))
        page = await open_page(world.url, forgiven="401")
        await page.get_by_label("API key").fill("another")
        await page.keyboard.press("Enter")
        await expect(page.locator("#key-wrong")).to_be_visible()
        await page.get_by_label("API key").fill("the-key")
        await page.get_by_role("button", name="Continue").click()
        await expect(total(page, "open")).to_have_text("510")
        await page.reload()
        await expect(total(page, "open")).to_have_text("510")
        assert "the-key" not in page.url


async def test_dots_stand_still_for_those_who_ask_for_that(world: World, open_page: Open) -> None:
    await world.publish(figures(now()))
    moving = "document.getAnimations().filter((each) => each.playState === 'running').length"
    page = await open_page(world.url)
    await expect(page.locator(".dots.flows").first).to_be_attached()
    assert await page.evaluate(moving) > 10
    page = await open_page(world.url, reduced_motion="reduce")
    await expect(page.locator(".dots.flows").first).to_be_attached()
    assert await page.evaluate(moving) == 0
