"""Writes the pages that are made from the code: `python docs/generate.py`; `--check` only says whether they are up to date.

reference/cli.md from the Typer app and the error tree, reference/configuration.md from the pydantic models, and the
table of lesions in explanation/phantoms.md. A new key without a meaning below stops the script.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import typer

from cxreader import errors
from cxreader.cli import INTERRUPTED, app
from cxreader.config import Config
from cxreader.data.phantom_lesions import LESIONS, MORE

DOCS = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py: change the code, then run `make docs`. -->"
BEGIN, END = "<!-- lesions: written by docs/generate.py -->", "<!-- end -->"
TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}

SECTIONS = {
    "": "One key stands before the first section.",
    "data": "Where the labelled images lie.",
    "input": "How a radiograph becomes the network's input. It is saved in the artifact, so that reading uses the same.",
    "split": "Who is trained on, who judges. See [Splits and leaks](../explanation/splits-and-leaks.md).",
    "augment": "Random changes of the training images: the largest of each kind, drawn evenly on both sides of none. "
    '`augment = "none"`, before the first section, turns all of them off.',
    "model": "The network and where its weights begin. See [Bring weights](../how-to/bring-weights.md).",
    "training": "How it learns. Without pretrained weights the phases are `full` alone.",
}
MEANINGS = {
    "seed": "Of everything random: first weights, order, augmentation, dropout.",
    "data.root": "The source: NIH or phantom folder, table, index, or `normal`/`abnormal` tree. A relative path is looked "
    "for in the working folder, then in the folder that `CXREADER_IMAGES` names.",
    "data.kind": "What lies there; `auto` looks.",
    "data.tables": "Folder of the NIH tables, when they lie elsewhere.",
    "data.name": "The data set's name; patients of a table are known under it.",
    "data.cache": "Folder of pixel caches; the run's own when left out. Several runs may share one.",
    "data.workers": "Processes that decode; all cores when left out.",
    "input.size": "Side of the square in pixels.",
    "input.fit": "`pad` keeps the aspect and fills with black, `squash` stretches.",
    "input.mean": "Of the three equal channels; ImageNet's.",
    "input.std": "Deviation of the three channels; ImageNet's.",
    "split.kind": "By hash of the patient, the NIH lists, or by image (leaks patients; for comparison).",
    "split.file": "A split written by `cxreader data split`; the keys beside it are then not used.",
    "split.shares": "Train, validation, test; validation is halved into tune and calibrate.",
    "split.balance": "Classes in each part: half and half, as they come, or by `abnormal_share`.",
    "split.abnormal_share": 'Of each part, for `balance = "ratio"` and nothing else.',
    "split.size": "Images in all, after balancing; as many as there are when left out.",
    "augment.rotation": "Degrees.",
    "augment.shift": "Share of the side.",
    "augment.scale": "Share of the size.",
    "augment.brightness": "Share of the full range.",
    "augment.contrast": "Share of the contrast.",
    "augment.horizontal_flip": "Off, because the heart is on the left.",
    "model.name": "One of `cxreader models`.",
    "model.weights": "`imagenet` (pinned), `none`, or a `.safetensors` or `.pth` file.",
    "model.if_absent": "When the weights file is not there: stop, or train every stage from scratch.",
    "model.dropout": "Before the head.",
    "training.phases": "In their order.",
    "training.batch_size": "Images a step.",
    "training.optimizer": "Adam or AdamW.",
    "training.weight_decay": "Of the optimizer.",
    "training.schedule": "`cosine` falls to zero at the phase's last epoch.",
    "training.monitor": "The tune figure that stops a phase and chooses its best epoch.",
    "training.class_weights": "`balanced` weights the loss by the classes' rarity in train.",
    "training.label_smoothing": "Of the cross-entropy.",
    "training.precision": "Of the computation.",
    "training.accelerator": "Lightning's: `auto`, `cpu`, `gpu`.",
    "training.devices": "How many of them.",
    "training.tensorboard": "TensorBoard logs beside the CSV.",
    "phase.learn": "Which stages learn: the head alone, from the last block on, or all.",
    "phase.lr": "Learning rate.",
    "phase.epochs": "At most so many.",
    "phase.patience": "Epochs without improvement before the phase stops.",
}


def main() -> None:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 when a page is out of date")
    check: bool = parser.parse_args().check
    stale = [path for path, text in pages().items() if not path.is_file() or path.read_text("utf-8") != text]
    for path in stale:
        if not check:
            path.write_text(pages()[path], "utf-8")
        print(f"{path.relative_to(DOCS)}: {'out of date' if check else 'written'}")
    sys.exit(1 if check and stale else 0)


def pages() -> dict[Path, str]:
    """Every generated page as it should be."""
    phantoms = DOCS / "explanation" / "phantoms.md"
    return {
        DOCS / "reference" / "cli.md": cli_page(),
        DOCS / "reference" / "configuration.md": configuration_page(),
        phantoms: with_lesions(phantoms.read_text("utf-8")),
    }


def cli_page() -> str:
    """Every command with its arguments and options, and the exit codes."""
    root: Any = typer.main.get_command(app)
    lines = [
        *("# Command line", "", NOTE, "", f"{root.help}", ""),
        "Options of `cxreader` itself stand before the command. Results go to standard output; progress and news go to",
        "standard error. A mistake is one line that says what, where and the mend; `--debug` shows the traceback.",
        *("", *_parameters(root), "## Exit codes", "", *_table(("code", "meaning"), _exit_codes())),
    ]
    for name, command in _commands(root, "cxreader"):
        lines += [f"## {name}", "", inspect.cleandoc(command.help or ""), "", *_parameters(command)]
    return "\n".join(lines).rstrip() + "\n"


def configuration_page() -> str:
    """Every key of a configuration, its type, default and meaning."""
    schema = Config.model_json_schema()
    top = schema["properties"]
    plain = {key: value for key, value in top.items() if "$ref" not in str(value)}
    lines = [
        *("# Configuration", "", NOTE, ""),
        "An experiment is one TOML file; what it leaves out has the default below. `--set training.fine_tune.lr=3e-5` lays",
        "one key over the file and may be given many times. A wrong key or value is refused with its dotted path and the",
        "nearest right name. The resolved configuration is saved in the run folder and in the artifact.",
        *("", SECTIONS[""], "", *_keys(plain, "", schema.get("required", ()))),
    ]
    for name in (key for key in top if key not in plain):
        section = schema["$defs"][f"{name.capitalize()}Section"]
        phases = {key: value for key, value in section["properties"].items() if "PhaseSection" in str(value)}
        own = {key: value for key, value in section["properties"].items() if key not in phases}
        lines += [f"## [{name}]", "", SECTIONS[name], "", *_keys(own, f"{name}.", section.get("required", ()))]
        if phases:
            lines += [f"## {', '.join(f'[{name}.{phase}]' for phase in phases)}", ""]
            lines += ["The same keys in each phase; their defaults differ.", "", *_phases(schema, phases)]
    return "\n".join(lines).rstrip() + "\n"


def with_lesions(page: str) -> str:
    """The page with its table of lesions as the code has them."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    rows = [
        (k.finding, f"{k.weight:.0%}", _range(k.size, k.size_unit), _range(k.contrast, k.contrast_unit),
         f"{MORE[k.finding]:.0%}" if k.finding in MORE else "never")
        for k in LESIONS
    ]  # fmt: skip
    table = "\n".join(_table(("finding", "drawn with weight", "size", "contrast", "a second one"), rows))
    return f"{before}{BEGIN}\n\n{table}\n{END}{after}"


def _range(ends: tuple[float, float], unit: str) -> str:
    return unit if ends[0] == ends[1] else f"{ends[0]:g} to {ends[1]:g} {unit}"


def _exit_codes() -> Iterator[tuple[str, str]]:
    yield "0", "Done."
    yield "1", "An audit ran and found something."
    for kind in errors.CxreaderError.__subclasses__():
        more = ", ".join(f"`{child.__name__}`" for child in kind.__subclasses__())
        yield str(kind.exit_code), f"{inspect.getdoc(kind)} (`{kind.__name__}`{': ' + more if more else ''})"
    yield str(INTERRUPTED), "Interrupted by the user; nothing already done is lost."


def _commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its whole name."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def _parameters(command: Any) -> list[str]:
    hints, rows = get_type_hints(command.callback), []
    for parameter in command.params:
        given = parameter.param_type_name == "argument"
        name = parameter.name.upper() if given else ", ".join(reversed(parameter.opts))
        rows.append((f"`{name}`", _value(hints[parameter.name]), _default(parameter), parameter.help or ""))
    return [*_table(("argument or option", "value", "default", "meaning"), rows)] if rows else []


def _value(hint: Any) -> str:
    """A parameter's annotation in words; Typer's own classes for it differ from version to version."""
    if get_origin(hint) in (Union, UnionType):
        return _value(next(one for one in get_args(hint) if one is not type(None)))
    if get_origin(hint) is list:
        return f"{_value(get_args(hint)[0])}, one or more times"
    if get_origin(hint) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(hint))
    return {bool: "flag", int: "whole number", float: "number", Path: "path", str: "text"}[hint]


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    return "" if parameter.default is None or parameter.default is False else f"`{parameter.default}`"


def _keys(properties: dict[str, Any], prefix: str, required: Iterable[str]) -> list[str]:
    rows = [
        (
            f"`{key}`",
            _type(value),
            "required" if key in required else _toml(value.get("default")),
            MEANINGS[prefix + key],
        )
        for key, value in properties.items()
    ]
    return _table(("key", "type", "default", "meaning"), rows)


def _phases(schema: dict[str, Any], phases: dict[str, Any]) -> list[str]:
    keys = schema["$defs"]["PhaseSection"]["properties"]
    rows = [
        (
            f"`{key}`",
            _type(value),
            *(_toml(phase["default"][key]) for phase in phases.values()),
            MEANINGS[f"phase.{key}"],
        )
        for key, value in keys.items()
    ]
    return _table(("key", "type", *(f"`{name}`" for name in phases), "meaning"), rows)


def _type(value: dict[str, Any]) -> str:
    if "anyOf" in value:
        return " or ".join(_type(one) for one in value["anyOf"] if one.get("type") != "null")
    if "enum" in value:
        return ", ".join(f'`"{one}"`' for one in value["enum"])
    if value["type"] == "array":
        if "prefixItems" in value:
            return f"{len(value['prefixItems'])} numbers"
        return f"list of {_type(value['items'])}"
    signs = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    limits = ", ".join(f"{sign} {value[name]:g}" for name, sign in signs.items() if name in value)
    return TYPES[value["type"]] + (f", {limits}" if limits else "")


def _toml(value: Any) -> str:
    if value is None:
        return "left out"
    if isinstance(value, list | tuple):
        return f"`[{', '.join(_toml(one).strip('`') for one in value)}]`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    header = list(header)
    body = [f"| {' | '.join(cell.replace('|', ' / ') for cell in row)} |" for row in rows]
    return [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}", *body, ""]


if __name__ == "__main__":
    main()
