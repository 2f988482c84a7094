"""The documents: links, generated pages, commands and configurations are right, and no path of anybody's machine is told."""

from __future__ import annotations

import functools
import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cxreader.cli import app
from cxreader.config import parse_config
from cxreader.study.rows import study_rows
from cxreader.study.search.space import read_space

PROJECT = Path(__file__).resolve().parents[1]
PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md"), *PROJECT.glob("benchmarks/*.md")])
MACHINE = re.compile(r"(?<![\w.~])/(?:work|tmp|root|home)\b")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return page.relative_to(PROJECT).as_posix()


pages = pytest.mark.parametrize("page", PAGES, ids=name_of)


@pages
def test_relative_links_resolve(page: Path) -> None:
    dead = []
    for target in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        path, _, anchor = target.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            dead.append(target)
    assert not dead


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.parent.name == "docs"], ids=name_of)
def test_every_page_leads_to_the_glossary(page: Path) -> None:
    if page.parent.name != "decisions" and page.name != "glossary.md":
        targets = {(page.parent / target).resolve() for target in LINK.findall(page.read_text("utf-8"))}
        assert PROJECT / "docs/reference/glossary.md" in targets


@pages
def test_no_path_of_a_machine(page: Path) -> None:
    assert [line for line in page.read_text("utf-8").splitlines() if MACHINE.search(line)] == []


@pages
def test_commands_and_options_exist(page: Path) -> None:
    wrong = {}
    for line in commands(page.read_text("utf-8")):
        for words in calls(line):
            if problem := refusal(words):
                wrong[line] = problem
    assert wrong == {}


@pages
def test_configurations_in_pages_are_valid(page: Path) -> None:
    """Blocks of TOML are read as an experiment (its images aside), rows and space included; named configs exist."""
    text = page.read_text("utf-8")
    assert [
        name for name in re.findall(r"\bconfigs/[\w-]+\.toml", text) if not (PROJECT / "src/cxreader" / name).is_file()
    ] == []
    for values in (tomllib.loads(block) for language, block in FENCE.findall(text) if language == "toml"):
        data = values.get("data", {})
        config = parse_config({**values, "data": data if "sources" in data else {"root": "images", **data}})
        study_rows(config)
        if config.study.space:
            read_space(config)


def test_generated_pages_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("docs_generate", PROJECT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    stale = [name_of(path) for path, text in generate.pages().items() if path.read_text("utf-8") != text]
    assert stale == [], "run `make docs`"


def test_every_document_is_on_the_map() -> None:
    docs = PROJECT / "docs"
    named = (docs / "README.md").read_text("utf-8")
    inside = [page.relative_to(docs).as_posix() for page in PAGES if docs in page.parents]
    assert [name for name in inside if name != "README.md" and name not in named] == []


@pytest.mark.parametrize(
    "line",
    [
        "cxreader raed --model a b.png",
        "cxreader read --modle a b.png",
        "cxreader data split phantoms --out s.json --kind by-patient",
        "cxreader train",
        "cxreader serve --model a --hoem b",
        "cxreader serve --model a inti",
    ],
)
def test_a_wrong_command_would_be_found(line: str) -> None:
    assert [problem for words in calls(line) if (problem := refusal(words))]


def test_what_is_a_command() -> None:
    page = "```console\n$ cxreader models\ncxreader 0.1.0\n$ ls | \\\n  cxreader read -m a - > b\n```\n"
    found = [words for line in commands(page) for words in calls(line)]
    assert found == [["models"], ["read", "-m", "a", "-"]]


def anchors(page: Path) -> set[str]:
    """The anchors GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(text: str) -> Iterator[str]:
    """The shell lines of the fenced blocks: those after `$ `, or all of a block without any."""
    for language, block in FENCE.findall(text):
        lines = block.replace("\\\n", " ").splitlines()
        if any(line.startswith("$ ") for line in lines):
            yield from (line[2:] for line in lines if line.startswith("$ "))
        elif language in ("", "sh", "bash", "console", "shell"):
            yield from (line for line in lines if line.startswith("cxreader "))


def calls(line: str) -> Iterator[list[str]]:
    """The arguments of each call of cxreader in a shell line."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words: list[str] | None = None
    for word in [*lexer, ";"]:
        if set(word) <= set("|&;<>"):
            if words is not None:
                yield words
            words = None
        elif words is not None:
            words.append(word)
        elif word == "cxreader":
            words = []


@functools.cache
def root() -> Any:
    """The command line as click sees it."""
    return typer.main.get_command(app)


def refusal(words: list[str]) -> str | None:
    """Why the command line would refuse these arguments; None when it would take them. Nothing is run."""
    command = root()
    name = "cxreader"
    while words and hasattr(command, "commands"):
        if words[0].startswith("-"):
            known = {option: parameter for parameter in command.params for option in parameter.opts}
            if words[0] not in {"--help", "-h", *known}:
                return f"no option {words[0]}"
            valued = words[0] in known and not getattr(known[words[0]], "is_flag", False)
            words = words[2 if valued else 1 :]
        elif words[0] in command.commands:
            name, command, words = f"{name} {words[0]}", command.commands[words[0]], words[1:]
        else:
            return f"no command {name} {words[0]}"
    if hasattr(command, "commands") or {"--help", "-h"} & set(words):
        return None
    try:
        command.make_context(name, list(words))
    except Exception as error:  # noqa: BLE001 - click's own class, wherever Typer keeps it
        return f"{type(error).__name__}: {error}"
    return None
