"""The dashboard's files, as the gateway serves them."""

import httpx
import pytest

from services.gateway.http.dashboard import FOLDER

FILES = sorted(path.name for path in FOLDER.iterdir())


@pytest.mark.parametrize("name", FILES)
async def test_each_file_comes_under_the_policy_and_is_not_sent_twice(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"/dashboard/{name}")
    assert answer.content == (FOLDER / name).read_bytes()
    assert "script-src 'self';" in answer.headers["content-security-policy"]
    again = await client.get(f"/dashboard/{name}", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_the_page_is_light(client: httpx.AsyncClient) -> None:
    """Each file compressed, and all of them together what a photograph takes."""
    answers = [await client.get(f"/dashboard/{name}", headers={"accept-encoding": "gzip"}) for name in FILES]
    assert sum(int(answer.headers["content-length"]) for answer in answers) < 40_000
    assert sum(len(answer.content) for answer in answers) < 120_000


def test_the_files_request_no_other_host() -> None:
    files = "".join((FOLDER / name).read_text() for name in FILES).replace("http://www.w3.org/2000/svg", "")
    assert "://" not in files
    assert "innerHTML" not in files
