"""`cxreader doctor`: what is missing on this machine, or in a service's home, and the line that mends it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from cxreader.cli.output.console import say

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_NOT_FOR_USERS = frozenset({"dev", "bench", "all"})


class Finding(NamedTuple):
    """One thing that was looked at. `why`: what is wrong, empty where nothing is; `needed`: whether anything works without it."""

    what: str
    why: str = ""
    needed: bool = True


def doctor(
    home: Annotated[Path | None, typer.Option(help="A service's folder, to be looked at too.")] = None,
) -> None:
    """Look for what is missing: packages, those of each extra, a service's home. The exit code is 1 where something needed is."""
    found = [*packages(), *(() if home is None else service(home))]
    for one in found:
        mark = "ok" if not one.why else "wrong" if one.needed else "absent"
        typer.echo("\t".join(filter(None, (mark, one.what, one.why))))
    wrong = sum(bool(one.why) and one.needed for one in found)
    say(f"{len(found)} things looked at, {wrong} wrong")
    if wrong:
        raise typer.Exit(1)


def packages() -> Iterator[Finding]:
    """Python, the packages that everything needs, and those of each extra, as the installed package names them."""
    import platform
    from importlib.metadata import PackageNotFoundError, distribution

    from packaging.requirements import Requirement

    yield Finding(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    try:
        own = distribution("cxreader")
    except PackageNotFoundError:
        yield Finding("cxreader", "is not installed; pip install cxreader")
        return
    needs = [Requirement(line) for line in own.requires or ()]
    core = [one for one in needs if one.marker is None or one.marker.evaluate({"extra": ""})]
    yield Finding("core", _missing(core, ""))
    for extra in sorted(set(own.metadata.get_all("Provides-Extra") or ()) - _NOT_FOR_USERS):
        wanted = [one for one in needs if one.marker is not None and one.marker.evaluate({"extra": extra})]
        yield Finding(f"extra {extra}", _missing([one for one in wanted if one not in core], extra), needed=False)


def service(home: Path) -> Iterator[Finding]:
    """What keeps the service of a home from starting; the models are those of its settings."""
    from cxreader.errors import CxreaderError

    try:
        from cxreader.serving.home import lacking
        from cxreader.serving.settings import Settings

        wrong = [str(one) for one in lacking(Settings.load(home))]
    except CxreaderError as error:
        wrong = [str(error)]
    except ModuleNotFoundError as error:
        wrong = [f"{error.name} is not installed; pip install 'cxreader[serve]'"]
    yield from (Finding(f"service {home}", one) for one in wrong)
    if not wrong:
        yield Finding(f"service {home}")


def _missing(needs: list[Requirement], extra: str) -> str:
    """Which packages are absent or of another version than is asked for, with the line that brings them; empty where none is."""
    from importlib.metadata import PackageNotFoundError, version

    absent = []
    for need in needs:
        name, wanted = need.name, need.specifier
        try:
            if not wanted.contains(version(name), prereleases=True):
                absent.append(f"{name} {version(name)} is not {wanted}")
        except PackageNotFoundError:
            absent.append(name)
    line = f"cxreader[{extra}]" if extra else "cxreader"
    return f"{', '.join(absent)}; pip install '{line}'" if absent else ""
