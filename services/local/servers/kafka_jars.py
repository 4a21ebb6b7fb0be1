"""Kafka's jars: pinned by version and SHA-256 in kafka-jars.txt, fetched once from Maven Central, always verified.

jgo fetches single artifacts by exact coordinates. Its dependency resolution is not used, because it picks other
versions than Maven. A jar is downloaded into a temporary folder, verified, and renamed into place: an interrupted fetch
leaves no partial jar.
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
"""Concurrent downloads: the jars are small, so round trips take most of the time."""
_READ_TIMEOUT = 60
"""Seconds without a byte before a download fails."""


class JarError(Exception):
    """A jar could not be fetched, or differs from its pin. The text has the remedy."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One pinned artifact of Maven Central."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The file name, which includes the group: two groups may use the same artifact name."""
        return f"{self.group}.{self.artifact}-{self.version}.jar"

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


@dataclass(frozen=True, slots=True)
class Fetched:
    """The result of `fetch`: all jars in class-path order, and the number and bytes downloaded."""

    jars: tuple[Path, ...]
    downloaded: int
    downloaded_bytes: int


Download = Callable[[Jar, Path], Path]
"""Downloads the jar into the given empty folder, and returns its path; raises on failure."""
Progress = Callable[[int, int], None]
"""Called after each jar with the number present and the total."""


def default_cache(environ: Mapping[str, str] = os.environ) -> Path:
    """The cache folder: below REASONMED_CACHE, or else below .cache in the project."""
    return Path(environ.get("REASONMED_CACHE") or PROJECT / ".cache") / "kafka" / KAFKA_VERSION


def pinned(pins: Path = PINS) -> tuple[Jar, ...]:
    """All pinned jars that Kafka needs at run time. Raises JarError for an invalid line."""
    return tuple(_parsed(pins))


def fetch(
    folder: Path | None = None,
    *,
    jars: tuple[Jar, ...] | None = None,
    download: Download | None = None,
    progress: Progress = lambda present, total: None,
) -> Fetched:
    """All pinned jars in `folder`, verified by digest; downloads only missing ones.

    Blocks. Raises JarError if a jar cannot be fetched, or if a new or cached jar differs from its pinned digest.
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
                f"{jar} could not be fetched from Maven Central: {_reason(error)}. Run this "
                "again with network access, or set REASONMED_CACHE to a folder that has Kafka's jars."
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
            "It is not used. Find out who changed the file, then delete it."
        )


def _download_with_jgo(jar: Jar, aside: Path) -> Path:
    from jgo.maven import MavenContext  # takes 0.2 s to import: only when a jar is missing

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
    """The root of a chain of errors: messages of jgo and requests repeat the whole URL at each level."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return f"{type(error).__name__}: {error}"
