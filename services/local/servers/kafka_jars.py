"""Kafka's jars: pinned by version and SHA-256 in kafka-jars.txt, fetched once from Maven Central, always verified.

jgo fetches single artifacts by exact coordinates (it knows the repository; its own resolution of dependencies
picks other versions than Maven does, so it isn't asked to). A jar is downloaded into a folder of its own,
checked, and then renamed into place: an interrupted fetch leaves nothing that could be taken for a jar.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

KAFKA_VERSION = "4.4.0"
PINS = Path(__file__).with_name("kafka-jars.txt")
PROJECT = Path(__file__).parents[3]

_AT_ONCE = 8
"""Downloads at a time: the jars are small, and the time goes into round trips."""
_READ_TIMEOUT = 60
"""Seconds without a byte before a download fails."""


class JarError(Exception):
    """Kafka's jars could not be had, or one is not the pinned one. Says what to do."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One pinned artifact of Maven Central."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """With the group in it: two groups may use one artifact name."""
        return f"{self.group}.{self.artifact}-{self.version}.jar"

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What `fetch` did: all jars in the order of the class path, and how much of it was new."""

    jars: tuple[Path, ...]
    downloaded: int
    downloaded_bytes: int


Download = Callable[[Jar, Path], Path]
"""Puts the jar's file somewhere below the given empty folder and returns its path; raises on failure."""
Progress = Callable[[int, int], None]
"""Called with jars present and jars in all, after each jar."""


def default_cache(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the jars are kept: below REASONMED_CACHE, or else below .cache in the project."""
    return Path(environ.get("REASONMED_CACHE") or PROJECT / ".cache") / "kafka" / KAFKA_VERSION


def pinned(pins: Path = PINS) -> tuple[Jar, ...]:
    """All jars that Kafka needs at run time, as pinned. Raises JarError when a line isn't a pin."""
    return tuple(_parsed(pins))


def fetch(
    folder: Path | None = None,
    *,
    jars: tuple[Jar, ...] | None = None,
    download: Download | None = None,
    progress: Progress = lambda present, total: None,
) -> Fetched:
    """All pinned jars below `folder`, each with the pinned digest; only what is missing is downloaded.

    Blocks. Raises JarError when a jar can't be fetched, or has another digest than the pinned one, be it new
    or from the cache.
    """
    folder = folder or default_cache()
    jars = jars or pinned()
    download = download or _download_with_jgo
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / jar.file_name for jar in jars)
    missing = [jar for jar, path in zip(jars, paths, strict=True) if not _is_cached(jar, path)]
    present = len(jars) - len(missing)
    progress(present, len(jars))
    downloaded_bytes = 0
    for size in _fetch_all(missing, folder, download):
        present += 1
        downloaded_bytes += size
        progress(present, len(jars))
    return Fetched(paths, len(missing), downloaded_bytes)


def _fetch_all(missing: list[Jar], folder: Path, download: Download) -> Iterator[int]:
    if not missing:
        return
    with ThreadPoolExecutor(min(_AT_ONCE, len(missing))) as pool:
        futures: list[Future[int]] = [pool.submit(_fetch_one, jar, folder, download) for jar in missing]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _fetch_one(jar: Jar, folder: Path, download: Download) -> int:
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder, ignore_cleanup_errors=True) as aside:
        try:
            got = download(jar, Path(aside))
        except Exception as error:
            raise JarError(
                f"{jar} could not be fetched from Maven Central: {_reason(error)}. Kafka's jars are needed "
                "once; run this again with a network, or set REASONMED_CACHE to a folder that has them."
            ) from error
        _verify(jar, got)
        size = got.stat().st_size
        got.replace(folder / jar.file_name)
        return size


def _is_cached(jar: Jar, path: Path) -> bool:
    if not path.exists():
        return False
    _verify(jar, path)
    return True


def _verify(jar: Jar, path: Path) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != jar.sha256:
        raise JarError(
            f"{jar} is not the pinned jar: {path} has SHA-256 {digest}, {PINS.name} says {jar.sha256}. "
            "It is not used. Delete the file, and find out who changed it."
        )


def _download_with_jgo(jar: Jar, aside: Path) -> Path:
    from jgo.maven import MavenContext  # takes 0.2 s to import: only where something is missing

    maven = MavenContext(repo_cache=aside, timeout=_READ_TIMEOUT)
    return maven.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()


def _parsed(pins: Path) -> Iterator[Jar]:
    for number, line in enumerate(pins.read_text().splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        coordinates, _, sha256 = line.partition(" ")
        parts = coordinates.split(":")
        if len(parts) != 3 or len(sha256) != 64:
            raise JarError(f"{pins.name}, line {number}: not group:artifact:version and a SHA-256: {line!r}")
        group, artifact, version = parts
        yield Jar(group, artifact, version, sha256)


def _reason(error: BaseException) -> str:
    """The root of a chain of errors: jgo's and requests' messages repeat the whole URL at each level."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return f"{type(error).__name__}: {error}"
