import subprocess
import sys

import pytest

from gemstead.cli import COMMANDS, run

HEAVY = (
    "aiohttp", "gguf", "httpx2", "huggingface_hub", "msgspec", "numpy", "prometheus_client", "prompt_toolkit",
    "psutil", "pydantic", "rich.progress", "starlette", "uvicorn", "asyncio",
)  # fmt: skip


def test_help_lists_every_command_and_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom gemstead.cli import run\nstatus = run(['--help'])\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])\nsys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "LOADED []"
    for command in COMMANDS:
        assert f"  {command} " in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    assert f"gemstead {command}" in capsys.readouterr().out


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("gemstead 0.")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["upp"], "No such command 'upp'"),
        (["serve", "--prot", "1"], "No such option"),
        (["serve", "--port", "abc"], "'--port'"),
        (["run", "--temperature", "9"], "'--temperature'"),
        (["models", "pull"], "Missing argument"),
    ],
)
def test_wrong_usage_is_two_lines_and_exit_code_2(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(argv) == 2
    error, hint = capsys.readouterr().err.strip().splitlines()
    assert error.startswith("error: ")
    assert words in error
    assert hint.startswith("hint: ")


def test_a_bug_of_ours_is_reported_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a trial")

    monkeypatch.setattr("gemstead.cli.options.load", broken)
    assert run(["config", "show"]) == 1
    shown = capsys.readouterr().err
    assert "a bug in gemstead: ZeroDivisionError: a trial" in shown
    assert "Traceback" not in shown
