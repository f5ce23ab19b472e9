"""From any outcome of a command to an exit code and at most one line on stderr."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from whyproof.engine.errors import (
    InputError,
    MissingExtraError,
    ReplayError,
    StoreError,
    WhyproofError,
)

__all__ = [
    "ANSWERED",
    "BAD_INPUT",
    "INTERNAL",
    "INTERRUPTED",
    "PARTIAL",
    "reproducer",
    "run",
    "say",
]

ANSWERED, INTERNAL, BAD_INPUT, PARTIAL, INTERRUPTED = 0, 1, 2, 3, 130

_DEBUG = "WHYPROOF_DEBUG"


def run(arguments: list[str]) -> int:
    """Run one command; no error leaves as a traceback unless ``WHYPROOF_DEBUG`` is set."""
    import typer

    from .app import app

    # Typer brings its own copy of click, or the package: the common base says which.
    usage_error: Any = typer.BadParameter.__mro__[1]
    try:
        # Not `app(...)`, which has its own ideas about Ctrl-C and closed pipes.
        command: Any = typer.main.get_command(app)
        with command.make_context("whyproof", arguments) as context:
            code: object = command.invoke(context)
        sys.stdout.flush()
        return code if isinstance(code, int) else ANSWERED
    except typer.Exit as done:
        sys.stdout.flush()
        return done.exit_code
    except usage_error as error:
        command = error.ctx.command_path if error.ctx is not None else "whyproof"
        say(f"{error.format_message().rstrip('.')}; see '{command} --help'")
        return BAD_INPUT
    except BrokenPipeError:
        # Whoever read our output has enough; nothing must be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ANSWERED
    except (KeyboardInterrupt, typer.Abort):
        say("interrupted; what was found before is kept")
        return INTERRUPTED
    except ReplayError as error:
        say(f"{error}; the reproducer is in {reproducer(error.reproducer)}, please report it")
        return INTERNAL
    except (InputError, StoreError, MissingExtraError) as error:
        say(str(error))
        return BAD_INPUT
    except Exception as error:
        if os.environ.get(_DEBUG):
            raise
        own = isinstance(error, WhyproofError)
        what = str(error) if own else f"{type(error).__name__}: {error}"
        say(f"internal error: {what}; set {_DEBUG}=1 to see where, and please report it")
        return INTERNAL


def say(message: str) -> None:
    """Write one line of error to stderr."""
    text = " ".join(message.split())
    try:
        sys.stderr.write(f"error: {text}\n")
        sys.stderr.flush()
    except OSError:
        pass


def reproducer(details: dict[str, Any]) -> Path:
    """Write what it takes to repeat a failed replay to a new file and return its name."""
    text = json.dumps(details, indent=1, default=str)
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        try:
            handle, name = tempfile.mkstemp(".json", "whyproof-replay-", folder, text=True)
        except OSError:
            continue
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        return Path(name)
    raise StoreError("no folder can be written to keep the reproducer of a failed replay")
