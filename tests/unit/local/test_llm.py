"""The small model's weights and command line; the server itself is tested beside Kafka."""

from pathlib import Path

import pytest

from services.local.servers import small_model as llm


def test_weights_are_found_without_the_plugin_s_code() -> None:
    path = llm.weights()
    assert path.suffix == ".gguf"
    assert path.read_bytes()[:4] == b"GGUF"


def test_missing_weights_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm, "WEIGHTS_PACKAGE", "no-such-package")
    with pytest.raises(llm.WeightsError, match="install the extra 'local'"):
        llm.weights()


def test_command_line_is_the_server_s_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    served: dict[str, int] = {}
    monkeypatch.setattr(llm, "serve", lambda **options: served.update(options))
    server = llm.ModelServer(tmp_path, port=8080, slots=2, context=1024, threads=1)
    arguments = server.process.argv[server.process.argv.index("services.local.servers.small_model") + 1 :]
    llm.main(arguments)
    assert served == {"port": 8080, "slots": 2, "context": 1024, "threads": 1}
    assert server.base_url == "http://127.0.0.1:8080/v1"
