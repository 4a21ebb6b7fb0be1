"""`python -m services.local.servers.fetch`: fetch all downloads of the local stack, once.

Exit code 0 if everything is there; 1, with the reason, if a download fails.
"""

import sys
import time

from services.local.servers.kafka_jars import KAFKA_VERSION, Fetched, JarError, default_cache, fetch


def main() -> int:
    """Fetch Kafka's jars, with progress on stderr. Idempotent: present jars are only verified."""
    folder, began = default_cache(), time.monotonic()
    try:
        fetched = fetch(folder, progress=_show)
    except (JarError, OSError) as error:
        sys.stderr.write(f"\n{error}\n" if sys.stderr.isatty() else f"{error}\n")
        return 1
    sys.stdout.write(f"{_summary(fetched, time.monotonic() - began)} {folder}\n")
    return 0


def _show(present: int, total: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if present == total else ""
        sys.stderr.write(f"\rKafka {KAFKA_VERSION}: {present} of {total} jars{end}")
        sys.stderr.flush()


def _summary(fetched: Fetched, seconds: float) -> str:
    verified = f"Kafka {KAFKA_VERSION}: {len(fetched.jars)} jars verified"
    if not fetched.downloaded:
        return f"{verified}, none to fetch ({seconds:.1f} s), in"
    megabytes = fetched.downloaded_bytes / 1e6
    return f"{verified}, {fetched.downloaded} of them fetched ({megabytes:.0f} MB, {seconds:.1f} s), in"


if __name__ == "__main__":
    sys.exit(main())
