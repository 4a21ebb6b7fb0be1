"""Jars are the pinned ones or none."""

import hashlib
import threading
from pathlib import Path

import pytest

from services.local.servers import fetch as command
from services.local.servers.kafka_jars import Fetched, Jar, JarError, default_cache, fetch, pinned


def jar(artifact: str, content: bytes | None = None) -> Jar:
    content = artifact.encode() if content is None else content
    return Jar("org.example", artifact, "1.0", hashlib.sha256(content).hexdigest())


class Central:
    """A repository in which each jar holds its artifact's name."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, jar: Jar, aside: Path) -> Path:
        with self._lock:
            self.asked.append(jar.artifact)
        path = aside / "deep" / "download.jar"
        path.parent.mkdir()
        path.write_bytes(jar.artifact.encode())
        return path


THREE = (jar("a"), jar("b"), jar("c"))


def test_pins_are_kafka_itself_with_all_it_needs() -> None:
    jars = pinned()
    assert len(jars) == len({j.file_name for j in jars}) == 45
    versions = {j.artifact: j.version for j in jars}
    assert versions["kafka_2.13"] == versions["kafka-clients"] == "4.4.0"
    assert versions["log4j-slf4j-impl"] == versions["log4j-core"] == versions["log4j-api"]


@pytest.mark.parametrize("line", ["a:b:1.0", "a:b " + "0" * 64, "a:b:1.0 abc"])
def test_line_that_is_no_pin_is_refused(line: str, tmp_path: Path) -> None:
    (tmp_path / "pins.txt").write_text(f"# a comment\n\n{line}\n")
    with pytest.raises(JarError, match=r"pins.txt, line 3"):
        pinned(tmp_path / "pins.txt")


def test_fetches_what_is_missing_once(tmp_path: Path) -> None:
    central, shown = Central(), []
    first = fetch(tmp_path, jars=THREE, download=central, progress=lambda *at: shown.append(at))
    assert first == Fetched(tuple(tmp_path / j.file_name for j in THREE), downloaded=3, downloaded_bytes=3)
    assert shown == [(0, 3), (1, 3), (2, 3), (3, 3)]
    first.jars[1].unlink()
    assert fetch(tmp_path, jars=THREE, download=central).downloaded == 1
    assert fetch(tmp_path, jars=THREE, download=central).downloaded == 0
    assert sorted(central.asked) == ["a", "b", "b", "c"]
    assert sorted(tmp_path.iterdir()) == sorted(first.jars), "nothing else is left"


def test_other_bytes_than_the_pinned_are_not_kept(tmp_path: Path) -> None:
    with pytest.raises(JarError, match=r"org.example:b:1.0 is not the pinned jar"):
        fetch(tmp_path, jars=(jar("a"), jar("b", b"what was pinned")), download=Central())
    assert not (tmp_path / jar("b").file_name).exists()


def test_changed_jar_in_the_cache_is_refused(tmp_path: Path) -> None:
    fetched = fetch(tmp_path, jars=THREE, download=Central())
    fetched.jars[2].write_bytes(b"changed")
    with pytest.raises(JarError, match="then delete it"):
        fetch(tmp_path, jars=THREE, download=Central())


def test_broken_download_leaves_nothing_that_counts(tmp_path: Path) -> None:
    def breaks(jar: Jar, aside: Path) -> Path:
        (aside / "half.jar").write_bytes(b"ha")
        raise ConnectionError("no route")

    with pytest.raises(JarError, match=r"could not be fetched from Maven Central: ConnectionError: no route"):
        fetch(tmp_path, jars=THREE, download=breaks)
    assert list(tmp_path.iterdir()) == []
    assert fetch(tmp_path, jars=THREE, download=Central()).downloaded == 3


def test_cache_is_in_the_project_or_where_the_environment_says(tmp_path: Path) -> None:
    assert default_cache({"REASONMED_CACHE": str(tmp_path)}) == tmp_path / "kafka" / "4.4.0"
    assert default_cache({}).parts[-3:] == (".cache", "kafka", "4.4.0")
    assert (default_cache({}).parents[2] / "pyproject.toml").exists()


def test_command_says_what_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REASONMED_CACHE", str(tmp_path))
    monkeypatch.setattr(command, "fetch", lambda folder, progress: fetch(folder, jars=THREE, download=Central()))
    assert command.main() == 0
    assert "3 jars verified, 3 of them fetched (0 MB" in capsys.readouterr().out
    assert command.main() == 0
    out = capsys.readouterr().out
    assert "3 jars verified, none to fetch" in out
    assert out.count("\n") == 1


def test_command_fails_with_a_sentence_when_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def offline(jar: Jar, aside: Path) -> Path:
        raise ConnectionError("no route")

    monkeypatch.setenv("REASONMED_CACHE", str(tmp_path))
    monkeypatch.setattr(command, "fetch", lambda folder, progress: fetch(folder, jars=THREE, download=offline))
    assert command.main() == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "again with network access" in captured.err
