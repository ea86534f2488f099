"""What a failed command prints and which code it exits with.

0 done                       3 does not fit, or something is missing     5 refused by a rule
1 a bug of ours              4 the engine or a source did not deliver  6 `doctor` has warnings, no error
2 usage or a bad request                                               130 interrupted
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gemstead.core import errors

EXIT_CODES: tuple[tuple[type[errors.GemsteadError], int], ...] = (
    (errors.RequestInvalid, 2),
    (errors.Missing, 3),
    (errors.DoesNotFit, 3),
    (errors.FileDamaged, 3),
    (errors.SourceError, 4),
    (errors.EngineError, 4),
    (errors.AlreadyRunning, 4),
    (errors.SignInUnavailable, 4),
    (errors.SignInRefused, 5),
    (errors.PolicyRefused, 5),
    (errors.GuardFailed, 4),
    (errors.QuotaExceeded, 5),
    (errors.LimitsUnavailable, 4),
    (errors.EvidenceUnavailable, 4),
    (errors.ContentUnavailable, 4),
    (errors.Interrupted, 130),
)
INTERRUPTED = 130
SEVERITY_CODES = {"ok": 0, "note": 0, "warning": 6, "error": 3}
"""What `gemstead doctor` exits with, by the worst it found."""


@dataclass
class Outcome:
    code: int = 0


@contextmanager
def guarded() -> Iterator[Outcome]:
    """Runs a command; whatever it raises becomes two lines on stderr and an exit code."""
    from typer.exceptions import Abort, TyperException

    outcome = Outcome()
    try:
        yield outcome
    except errors.GemsteadError as exc:
        outcome.code = code_of(exc)
        print_error(exc)
    except TyperException as exc:
        outcome.code = 2
        context = getattr(exc, "ctx", None)
        _print("error", exc.format_message().rstrip("."))
        _print("hint", f"{context.command_path if context else 'gemstead'} --help")
    except (KeyboardInterrupt, Abort):
        outcome.code = INTERRUPTED
        _print("error", "interrupted")
    except BrokenPipeError:
        # The reader of our stdout went away (`| head`): that is its right, and no error.
        sys.stdout = None
    except Exception as exc:  # noqa: BLE001  # the last line of defence: no traceback reaches a user
        outcome.code = 1
        _print_bug(exc)


def code_of(exc: errors.GemsteadError) -> int:
    return next((code for kind, code in EXIT_CODES if issubclass(errors.kind_of(exc), kind)), 1)


def exit_code_of(returned: object) -> int:
    """What a command returned: None is success, a number is its exit code."""
    return returned if isinstance(returned, int) else 0


def print_error(exc: errors.GemsteadError) -> None:
    _print("error", exc.what)
    if exc.why:
        _print("why", exc.why)
    if exc.hint:
        _print("hint", exc.hint)


def _print(label: str, text: str) -> None:
    print(f"{label}: {text}", file=sys.stderr, flush=True)


def _print_bug(exc: Exception) -> None:
    """A short report with the place, and the traceback in a file that can be attached to an issue."""
    import tempfile
    import traceback

    frame = traceback.extract_tb(exc.__traceback__)[-1]
    with tempfile.NamedTemporaryFile("w", prefix="gemstead-bug-", suffix=".txt", delete=False) as report:
        traceback.print_exception(exc, file=report)
    _print("error", f"a bug in gemstead: {type(exc).__name__}: {exc} ({frame.name}, line {frame.lineno})")
    _print("hint", f"please report it with the file {report.name}")
