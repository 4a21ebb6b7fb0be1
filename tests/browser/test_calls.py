"""The calls of a case in the browser, its health strip on every page, and what the gateway says of both."""

import httpx
from playwright.async_api import expect

from services.contracts.case import Case, Usage
from services.core.case.requests import planned_request
from services.core.ledger.calls import Reply
from services.core.ledger.spending import price_of
from services.core.status.figures import Problem
from tests.browser import cases
from tests.browser.conftest import Open
from tests.browser.figures import figures
from tests.browser.stories import RECIPE, Said
from tests.browser.world import World, now
from tests.strategies import recipe


async def called(world: World) -> tuple[list[Said], str]:
    """A case whose first path's call is in the ledger; returns its story and the call's id."""
    story = cases.medium()
    await world.publish(figures(now()))
    await world.tell(story, now() - 100)
    world.recipes[RECIPE] = recipe()
    (case,) = (said.message for said in story if said.topic == "question-admitted")
    assert isinstance(case, Case)
    request = planned_request(case, recipe(), 0)
    reply = Reply("Calcium first.\nFinal answer: B", "stop", Usage(prompt=310, completion=80), "Which comes first?")
    price = price_of(request.model, case_id=case.case_id, alias=request.alias, stage="generate", sends=2)
    await world.ledger.calls.complete({request.call_id: reply}, owner="w", prices={request.call_id: price})
    return story, request.call_id


async def test_a_case_lists_its_calls_and_shows_one_whole(world: World, open_page: Open) -> None:
    story, call_id = await called(world)
    page = await open_page(f"{world.url}#/cases/{story[0].message.case_id}")  # type: ignore[attr-defined]
    await page.get_by_text("Model calls").click()
    row = page.locator(f"[data-call={call_id}]")
    await expect(row).to_contain_text("generate")
    await expect(row).to_contain_text("stop")
    await row.get_by_role("button").click()
    whole = page.locator(".calls .whole")
    await expect(whole).to_contain_text("His potassium is 7.1")  # the prompt holds the question
    await expect(whole).to_contain_text("Calcium first.")
    await expect(whole).to_contain_text("Which comes first?")
    await expect(whole).to_contain_text(call_id)


async def test_the_gateway_serves_a_call_with_its_case(world: World) -> None:
    story, call_id = await called(world)
    async with httpx.AsyncClient(base_url=world.url.removesuffix("/dashboard/")) as client:
        listed = (await client.get(f"/cases/{story[0].message.case_id}/calls")).json()  # type: ignore[attr-defined]
        whole = (await client.get(f"/calls/{call_id}")).json()
        unknown = await client.get("/calls/call-" + "0" * 32)
    (work,) = listed["works"]
    first = next(call for call in work["calls"] if call["call_id"] == call_id)
    assert (first["outcome"], first["sends"], first["tokens_out"]) == ("reply", 2, 80)
    assert {call["outcome"] for call in work["calls"]} == {"reply", "absent"}
    assert (whole["case_id"], whole["reply"]) == (listed["case_id"], "Calcium first.\nFinal answer: B")
    assert whole["prompt"]
    assert unknown.status_code == 404


async def test_what_needs_attention_is_on_every_page_until_it_is_over(world: World, open_page: Open) -> None:
    remedy = "Check it with `reasonmed recipes check`."
    away = Problem(kind="model_away", what="judge", why="401: the key is invalid.", remedy=remedy)
    await world.publish(figures(now(), problems=(away,)))
    for place in ("#/", "#/cases"):
        page = await open_page(world.url + place)
        strip = page.locator("#health")
        await expect(strip).to_contain_text("model away: judge")
        await expect(strip.locator("code")).to_have_text("reasonmed recipes check")
    await world.publish(figures(now()))
    await expect(strip).to_be_hidden()
