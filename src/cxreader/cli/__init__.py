"""The command line: parse, call, print. Heavy imports live inside the commands."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Annotated, Any

import typer

from cxreader.cli import (
    audit,
    configs,
    data,
    doctor,
    evaluating,
    exporting,
    models,
    quantising,
    reading,
    serving,
    study,
    training,
)
from cxreader.cli.output.console import DISCLAIMER, State, fail
from cxreader.errors import CxreaderError, MissingDependencyError, UsageError

INTERRUPTED = 130
_EXTRAS = {
    "train": frozenset({"huggingface_hub", "lightning", "onnx", "optuna", "pandas", "timm", "torch", "torchvision"}),
    "serve": frozenset(
        {
            "alembic",
            "argon2",
            "fastapi",
            "highdicom",
            "httpx2",
            "joserfc",
            "prometheus_client",
            "pydantic_settings",
            "pynetdicom",
        }
        | {"python_multipart", "sqlalchemy", "uvicorn"}
    ),
}
"""What an extra installs: a command that imports one of them says so where it is not there."""
# Typer carries its own click in some versions and imports it in others: the class is found where its own errors stand.
_ClickError: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

_Missing: Any = next(kind for kind in typer.BadParameter.__subclasses__() if kind.__name__ == "MissingParameter")

_EXAMPLES = {
    "train --out": "runs/{name}",
    "split --out": "split.json",
    "cache --out": "cache",
    "--out": "studies/{name}",
    "--model": "runs/{name}",
    "--lr": "1e-4",
    "--images": "1000",
}
"""What a required option is given, by the end of command and option; the first that fits."""

app = typer.Typer(
    name="cxreader",
    help=f"An open second reader for frontal chest radiographs. {DISCLAIMER}",
    epilog="Exit codes: 0 done, 1 an audit found something, 2 usage or configuration, 3 data, 4 model or artifact, "
    "5 a package is missing, 6 disk, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich's help costs a third of the time allowed for it
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from cxreader import __version__

        typer.echo(f"cxreader {__version__}")
        raise typer.Exit


@app.callback()
def options(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Results only: no progress, no news.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Version.")] = False,  # noqa: ARG001
) -> None:
    """Options before the command."""
    State.quiet, State.debug = quiet, debug


for _command in (
    *(training.train, evaluating.evaluate, reading.read, reading.explain, exporting.export, quantising.quantise),
    *(training.demo, configs.configs, doctor.doctor),
):
    app.command()(_command)
app.add_typer(models.app, name="models")
app.add_typer(data.app, name="data")
app.add_typer(audit.app, name="audit")
app.add_typer(study.app, name="study")
app.add_typer(serving.app, name="serve")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code; a mistake is one line, unless --debug asks for the traceback."""
    sys.exit(run(arguments))


def _unheard() -> int:
    """The reader of our output has gone, as `head` does: what is left to write goes nowhere, and nothing is wrong."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _missing(error: Any) -> UsageError:
    """What a command lacks, as one line with an example of what it takes."""
    context, wanted = error.ctx, error.param
    name = max(wanted.opts, key=len)
    command, given = context.command_path, context.params.get("config")
    if wanted.param_type_name != "option":
        return UsageError(f"{name} is missing", where=command, mend=f"{command} -h shows what it takes")
    example = next((text for end, text in _EXAMPLES.items() if f"{command} {name}".endswith(end)), "...")
    example = example.format(name=given.stem if given else "a")
    return UsageError(f"{name} is missing", where=command, mend=f"add it, such as {name} {example}")


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    command = typer.main.get_command(app)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that the terminal cannot show must not end what was read
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        outcome = command.main(args=arguments, prog_name="cxreader", standalone_mode=False)
        code = int(outcome) if isinstance(outcome, int) else 0
        sys.stdout.flush()
    except CxreaderError as error:
        if State.debug:
            raise
        return fail(error, error.exit_code)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        extra = next((name for name, packages in _EXTRAS.items() if package in packages), None)
        if State.debug or extra is None:
            raise
        what, mend = f"this command needs {package}, which is not installed", f"pip install 'cxreader[{extra}]'"
        return fail(MissingDependencyError(what, mend=mend), MissingDependencyError.exit_code)
    except _Missing as error:
        return fail(_missing(error), UsageError.exit_code)
    except _ClickError as error:
        error.show()
        return int(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except (BrokenPipeError, SystemExit) as error:
        cause = error.__context__ if isinstance(error, SystemExit) else error  # click exits with 1 for a broken pipe
        if not isinstance(cause, BrokenPipeError):
            raise
        return _unheard()
    if code == INTERRUPTED:
        sys.stderr.write("cxreader: interrupted; nothing already done is lost\n")
    return code
