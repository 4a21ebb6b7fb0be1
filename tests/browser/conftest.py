"""A browser for all, a gateway for each test; and whatever the browser complains of fails the test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page

from tests.browser.browser import CHROMIUM, chromium
from tests.browser.world import World, serving

Open = Callable[..., Awaitable[Page]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """No chromium, no tests of it. All of them on one loop, where the browser is."""
    for item in items:
        if item.path.parent.name == "browser":
            item.add_marker(pytest.mark.skipif(CHROMIUM is None, reason="no chromium: `make debian` installs it"))
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def world() -> AsyncIterator[World]:
    async with serving(World()) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: Browser) -> AsyncIterator[Open]:
    """Opens an address in a window of its own. At the end, what went wrong in any of them fails the test: an error on
    the console (a breach of the page's policy is one), and a request to anywhere else. `forgiven` may be in it."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    async def open_(url: str, *, forgiven: str = "\0", **options: Any) -> Page:
        context = await browser.new_context(**options)
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(10_000)
        host = urlsplit(url).netloc

        def complain(what: str) -> None:
            if forgiven not in what:
                wrong.append(what)

        page.on("console", lambda said: complain(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complain(str(error)))
        page.on("request", lambda asked: None if urlsplit(asked.url).netloc == host else complain(asked.url))
        await page.goto(url)
        return page

    yield open_
    for context in contexts:
        await context.close()
    assert not wrong
