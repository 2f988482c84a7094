"""Writes the pages that are made from the code: `python docs/generate.py`; `--check` only says whether they are up to date.

reference/cli.md from the Typer app and the error tree, reference/glossary.md from reporting.glossary,
reference/configuration.md and reference/serving.md from the pydantic models, the public sets in reference/data-sources.md from
the table of layouts, and the table of lesions in explanation/phantoms.md. A new key or section without a meaning below stops the
script.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import typer

from cxreader import errors
from cxreader.cli import INTERRUPTED, app
from cxreader.config import Config
from cxreader.data.layouts.layout import Layout
from cxreader.data.layouts.registry import LAYOUTS, OWN_WAYS
from cxreader.data.phantoms.lesions import LESIONS, MORE
from cxreader.reporting.glossary import glossary_markdown
from cxreader.serving.settings import PREFIX, Settings

DOCS = Path(__file__).parent
WORDS = "The words of this page: [Glossary](glossary.md)."
NOTE = "<!-- Written by docs/generate.py: change the code, then run `make docs`. -->"
BEGIN, END = "<!-- lesions: written by docs/generate.py -->", "<!-- end -->"
SETS = "<!-- sets: written by docs/generate.py -->"
TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}

SECTIONS = {
    "": "One key stands before the first section.",
    "data": "Where the labelled images lie.",
    "input": "How a radiograph becomes the network's input. It is saved in the artifact, so that reading uses the same.",
    "split": "Who is trained on, who judges. See [Splits and leaks](../explanation/splits-and-leaks.md).",
    "augment": "Random changes of the training images: the largest of each kind, drawn evenly on both sides of none. "
    '`augment = "none"`, before the first section, turns all of them off.',
    "model": "The network and where its weights begin. See [Bring weights](../how-to/bring-weights.md).",
    "training": "How it learns. Without pretrained weights the phases are `full` alone. What a phase keeps frozen is computed "
    "once: see [Stored stages](../explanation/stored-stages.md).",
    "calibration": "What is fitted on the calibrate part. See [Evidence](../explanation/evidence.md).",
    "study": "Several trainings that answer one question; `cxreader train` does not read it. See "
    "[Run the study](../how-to/run-the-study.md) and [Search](../how-to/search.md).",
    "training.boxes": "With this section, be it empty, a region head learns behind the phases where findings lie, from the boxes "
    "of the data; the classifier stays as it is. `training.boxes = true` is the same, `false` turns it off. See "
    "[Learn from boxes](../how-to/learn-from-boxes.md).",
    "data.sources": "Each such table is one of several sources that are read together, in the place of `data.root`: images are "
    "named FOLDER/image, and a patient of two NIH folders is one patient.",
    "data.phantoms": "With this section `cxreader study run` draws its images itself, into its folder, and `data.root` is not "
    "asked for. Other commands refuse it.",
    "study.rows": "Each such table is a row of the study's report: a network, and what differs from the file's own sections. "
    "Without any, the rows are the study's own seven: the custom CNN at two rates, ResNet18, DenseNet121, EfficientNet-B0 with "
    "its classifier alone and as the best of a grid of sixteen, and ResNet18 trained at 20/80; and "
    "EfficientNet-Lite0's classifier alone where its ImageNet weights are on this machine.",
    "study.space": "A dotted key of `model`, `training` or `augment`, in quotes, and its values: a list, or a range, which is "
    "a table of the keys below. Lists alone are a grid, every point of it once; a range needs `trials`.",
    "study.pretrain": "How `cxreader study run` makes weights where `model.weights` is `phantoms`, or the file is absent and "
    "`model.if_absent` is `phantoms`: each network first learns normal/abnormal on phantoms, from scratch.",
}
MEANINGS = {
    "seed": "Of everything random: first weights, order, augmentation, dropout.",
    "data.root": "Needed, but for `data.sources` and `data.phantoms`. The source: a public set's or phantoms' folder, table, "
    "index, `normal`/`abnormal` or DICOM tree. A relative path is looked for in the working "
    "folder, then in the folder that `CXREADER_IMAGES` names.",
    "data.kind": "What lies there; `auto` looks. The public sets: [Data sources](data-sources.md).",
    "data.tables": "Folder of the set's tables, when they lie elsewhere.",
    "data.uncertain": "What uncertain labels of a public set become; its own policy when left out.",
    "data.min_age": "Images of patients known to be younger, in years, are left out, and counted; who is of unknown age stays.",
    "data.name": "The data set's name; patients of a table are known under it.",
    "data.cache": "Folder of pixel caches; the run's own when left out. Several runs may share one.",
    "data.workers": "Processes that decode; all cores when left out.",
    "data.sources.root": "As `data.root`.",
    "data.sources.kind": "As `data.kind`.",
    "data.sources.tables": "As `data.tables`.",
    "data.sources.uncertain": "As `data.uncertain`.",
    "data.sources.min_age": "As `data.min_age`.",
    "data.sources.name": "Under which its patients are known; its folder's name when left out.",
    "data.sources.ppv": "The share of its images labelled abnormal that are abnormal: learnt in place of the label.",
    "data.sources.npv": "The share of its images labelled normal that are normal.",
    "data.sources.readings": "A table of what several readers said: of each image the share who called it abnormal is learnt.",
    "data.sources.only_train": "Its images teach; nothing is chosen, calibrated or judged on them.",
    "data.sources.weight": "How much each of its images counts in the loss against one of another source; 0: it teaches the "
    "region head alone where findings lie, with `only_train` and `[training.boxes]`.",
    "data.phantoms.patients": "Drawn patients; some have several images.",
    "data.phantoms.seed": "Another seed draws other patients.",
    "data.phantoms.size": "Side of the drawn images in pixels.",
    "input.size": "Side of the square in pixels.",
    "input.fit": "`pad` keeps the aspect and fills with black, `squash` stretches: for training images that their publisher "
    "squeezed to squares (ChestX-ray14, Shenzhen, many public copies), so that others are squeezed alike.",
    "input.mean": "Of the three equal channels; the network's own when left out: 0.5 for `efficientnet_lite0`, else ImageNet's.",
    "input.std": "Deviation of the three channels; the network's own when left out.",
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
    "model.weights": "`imagenet` (pinned), `none`, a `.safetensors` or `.pth` file, or, in a study, `phantoms`.",
    "model.if_absent": "When the weights file is not there: stop, train every stage from scratch, or, in a study, make "
    "weights from phantoms.",
    "model.dropout": "Before the head.",
    "training.phases": "In their order.",
    "training.batch_size": "Images a step.",
    "training.optimizer": "Adam or AdamW.",
    "training.weight_decay": "Of the optimizer.",
    "training.schedule": "`cosine` falls to zero at the phase's last epoch.",
    "training.monitor": "The tune figure that stops a phase and chooses its best epoch.",
    "training.class_weights": "`balanced` weights the loss by the classes' rarity in train; `by_source` does so in every source, "
    "so that the source tells nothing of the label.",
    "training.label_smoothing": "Of the cross-entropy.",
    "training.batch_norm": "What BatchNorm normalises by while stages learn: the statistics of each batch, or, `frozen`, "
    "those that pretrained weights came with. Few images in small batches learn better with `frozen`; without pretrained "
    "weights it is `batch`.",
    "training.prefix_cache": "What frozen stages give is computed once and learnt from; `false` computes it, freshly "
    "augmented, in every epoch.",
    "training.views": "Versions of each training image that are stored, taken in turn by the epochs: the image as it is, the "
    "others augmented. 1: the image as it is, "
    "[which measured best](../explanation/stored-stages.md#what-views-gain); then `augment` changes nothing of a phase that "
    "learns from stored stages.",
    "training.prefix_precision": "Of what is stored.",
    "training.precision": "Of the computation; `auto` is `bf16-mixed` on a GPU that has it, else `32`.",
    "training.compile": "`torch.compile` of phases that learn from pixels; pays on a GPU, not on a CPU.",
    "training.accelerator": "Lightning's: `auto`, `cpu`, `gpu`.",
    "training.devices": "GPUs, or processes that share the CPU's cores; each has its share of every batch. What is learnt stays "
    "that of one device: [Train on several devices](../how-to/train-on-several-devices.md).",
    "training.tensorboard": "TensorBoard logs beside the CSV.",
    "training.boxes.stages": "Of the network, whose outputs it reads; when left out the last stage of each of the two coarsest "
    "sizes of map, but none that is widened for the classifier.",
    "training.boxes.width": "Channels between its layers.",
    "training.boxes.epochs": "All of them are run, and the last one's weights are taken.",
    "training.boxes.lr": "Peak of the one cycle of its learning rate.",
    "training.boxes.weight_decay": "Of AdamW; not of where findings usually are.",
    "training.boxes.batch_size": "Images a step.",
    "training.boxes.normals": "A normal image teaches that no finding lies anywhere.",
    "calibration.method": "From the network's score to a probability.",
    "calibration.operating_points": "Lines of a name and a rule, such as `screening: sensitivity 0.95` or "
    "`rule-out: npv 0.99 at prevalence 0.1`; the first one decides and must be reached, another that is not is left out.",
    "calibration.alpha": "Of the conformal mode: at most this share of each class is called the other. `none` switches it off.",
    "calibration.false_refusals": "Of each check that a reader makes (upright, sharp, like the training images): the share "
    "of images like these that it refuses. `none`: nothing is refused by what it looks like to the network.",
    "calibration.disagreement": "Several models whose probabilities lie further apart are not averaged but referred.",
    "phase.learn": "Which stages learn: `head` alone, from `last_block` on, `all`, or from the stage of this name on: "
    "[which a network has](../explanation/stages.md#the-stages-of-each-network).",
    "phase.lr": "Learning rate.",
    "phase.epochs": "At most so many.",
    "phase.patience": "Epochs without improvement before the phase stops.",
    "study.seeds": "Trainings a row: `seed` and the next ones.",
    "study.weights": "Weights of single networks by their name, in the place of `model.weights`; rows alone use it.",
    "study.sampler": "`grid` for lists alone, `tpe` with a range, when left out.",
    "study.trials": "Points that TPE draws; none for a grid.",
    "study.pruning": "`median` ends a trial whose tune figure lies behind the median of the others at the same epoch.",
    "study.rows.name": "In tables and figures; no two alike.",
    "study.rows.published": "Whose published numbers stand beside it: `custom_cnn`, `resnet18`, `densenet121`, "
    "`efficientnet_b0_classifier`, `efficientnet_b0_best_of_16`.",
    "study.rows.search": "The settings are those of the winner of `study.space`, or of the study's grid of sixteen without one.",
    "study.rows.abnormal_share": "Train, tune and calibrate are subsampled to this share of abnormal images; test stays.",
    "study.rows.patient_share": "The train part is cut to this share of its patients; tune, calibrate and test stay.",
    "study.rows.model": "Keys of `[model]` that differ.",
    "study.rows.training": "Keys of `[training]` that differ; a phase may be given in part.",
    "study.space.low": "Included.",
    "study.space.high": "Included.",
    "study.space.log": "Evenly over the orders of magnitude.",
    "study.pretrain.patients": "Phantom patients to learn from.",
    "study.pretrain.epochs": "All of them; the best is kept.",
    "study.pretrain.lr": "Highest rate of a one-cycle schedule.",
    "study.pretrain.seed": "Of phantoms and training; other phantoms than those of `data.phantoms`.",
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
    sources = DOCS / "reference" / "data-sources.md"
    return {
        DOCS / "reference" / "cli.md": cli_page(),
        DOCS / "reference" / "configuration.md": configuration_page(),
        DOCS / "reference" / "glossary.md": glossary_markdown(NOTE),
        DOCS / "reference" / "serving.md": serving_page(),
        phantoms: with_lesions(phantoms.read_text("utf-8")),
        sources: with_sets(sources.read_text("utf-8")),
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
    return "\n".join([*lines, WORDS]) + "\n"


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
        lines += _section(schema, name, f"[{name}]", schema["$defs"][f"{name.capitalize()}Section"])
    return "\n".join([*lines, WORDS]) + "\n"


def serving_page() -> str:
    """Every setting of the service, its type, default and meaning, from the descriptions of the settings' own fields."""
    schema = Settings.model_json_schema()
    top = schema["properties"]
    plain = {key: value for key, value in top.items() if "$ref" not in str(value)}
    lines = [
        *("# Settings of the service", "", NOTE, ""),
        "`cxreader serve` reads `serve.toml` in its home; what stands there may be said by the environment instead, which",
        f"comes first: `{PREFIX}SILENT=true`, and `{PREFIX}WORKER__PROCESSES=2` for a key of a table. A wrong key, value or",
        "variable is refused with its name and the nearest right one.",
        *("", *_settings(plain, schema.get("required", ()))),
    ]
    for name in (key for key in top if key not in plain):
        lines += _settings_of(schema, name, f"[{name}]", top[name])
    return "\n".join([*lines, WORDS]) + "\n"


def _settings_of(schema: dict[str, Any], path: str, heading: str, value: dict[str, Any]) -> list[str]:
    """A section of the settings, and those below it, each with a heading of its own."""
    section = schema["$defs"][_below(value)]
    properties = section["properties"]
    own = {key: found for key, found in properties.items() if _below(found) is None}
    lines = [f"## {heading}", "", section["description"], "", *_settings(own, section.get("required", ()))]
    for key in (key for key in properties if key not in own):
        below = f"[{path}.{key}]"
        many = properties[key].get("type") == "array"
        lines += _settings_of(schema, f"{path}.{key}", f"[{below}]" if many else below, properties[key])
    return lines


def _settings(properties: dict[str, Any], required: Iterable[str]) -> list[str]:
    rows = [
        (f"`{key}`", _type(value), "required" if key in required else _toml(value.get("default")), value["description"])
        for key, value in properties.items()
    ]
    return _table(("key", "type", "default", "meaning"), rows)


def _section(schema: dict[str, Any], path: str, heading: str, section: dict[str, Any]) -> list[str]:
    """A section's own keys, its phases, and the sections below it, each with a heading of its own."""
    below = {key: found for key, value in section["properties"].items() if (found := _below(value)) is not None}
    own = {key: value for key, value in section["properties"].items() if key not in below}
    lines = [f"## {heading}", "", SECTIONS[path], "", *_keys(own, f"{path}.", section.get("required", ()))]
    phases = {key: section["properties"][key] for key, found in below.items() if found == "PhaseSection"}
    if phases:
        lines += [f"## {', '.join(f'[{path}.{phase}]' for phase in phases)}", ""]
        lines += ["The same keys in each phase; their defaults differ.", "", *_phases(schema, phases)]
    for key, found in ((key, found) for key, found in below.items() if key not in phases):
        many = section["properties"][key].get("type") == "array"
        title = f"[[{path}.{key}]]" if many else f"[{path}.{key}]"
        lines += _section(schema, f"{path}.{key}", title, schema["$defs"][found])
    return lines


def _below(value: dict[str, Any]) -> str | None:
    """The name of the section that a key holds, one or many of it; None for a plain value."""
    found = re.search(r"#/\$defs/(\w+Section)\b", str(value))
    return found and found[1]


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


def with_sets(page: str) -> str:
    """The page with the public sets as the table of layouts has them."""
    before, _, rest = page.partition(SETS)
    after = rest.partition(END)[2]
    own = _table(("kind", "what lies there"), ((f"`{kind}`", holds) for kind, holds in OWN_WAYS.items()))
    overview = _table(
        ("kind", "set", "labels by"),
        ((f"[`{one.name}`](#{one.name})", one.title, one.labels) for one in LAYOUTS.values()),
    )
    sets = "\n".join(line for one in LAYOUTS.values() for line in _set(one))
    return "\n".join((f"{before}{SETS}", "", *overview, "Images of your own:", "", *own, sets, END)) + after


def _set(one: Layout) -> list[str]:
    """One set: what is known of it, and what its findings became."""
    became: dict[str, list[str]] = {}
    for word, name in one.findings.items():
        became.setdefault(name or "no finding", []).append(f"`{word}`")
    about = [
        ("set", one.title),
        *(("what lies there", one.holds), ("labels by", one.labels), ("normal and abnormal", one.policy)),
        *(("patients", one.patients), ("terms", one.licence), ("get it", one.url)),
        ("written after", "; ".join(one.pages)),
    ]
    found = [(name, ", ".join(words)) for name, words in became.items()]
    return [f"### {one.name}", "", *_table(("", ""), about), *_table(("became", "of the set's"), found)]


def _range(ends: tuple[float, float], unit: str) -> str:
    return unit if ends[0] == ends[1] else f"{ends[0]:g} to {ends[1]:g} {unit}"


def _exit_codes() -> Iterator[tuple[str, str]]:
    yield "0", "Done."
    yield "1", "An audit ran and found something."
    for kind in _kinds(errors.CxreaderError):
        more = ", ".join(f"`{child.__name__}`" for child in _kinds(kind))
        yield str(kind.exit_code), f"{inspect.getdoc(kind)} (`{kind.__name__}`{': ' + more if more else ''})"
    yield str(INTERRUPTED), "Interrupted by the user; nothing already done is lost."


def _kinds(of: type[errors.CxreaderError]) -> list[type[errors.CxreaderError]]:
    """Kinds of an error in the tree itself, whatever else is imported."""
    return [kind for kind in of.__subclasses__() if kind.__module__ == errors.__name__]


def _commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its whole name."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            if command.invoke_without_command:
                yield f"{prefix} {name}", command
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
    if "const" in value:
        return f'`"{value["const"]}"`'
    if "enum" in value:
        return ", ".join(f'`"{one}"`' for one in value["enum"])
    if value["type"] == "array":
        if "prefixItems" in value:
            return f"{len(value['prefixItems'])} numbers"
        return f"list of {_type(value['items'])}"
    if value["type"] == "object":
        inside = value.get("additionalProperties")
        return f"table of {_type(inside)}" if isinstance(inside, dict) else "table"
    signs = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    limits = ", ".join(f"{sign} {value[name]:g}" for name, sign in signs.items() if name in value)
    return TYPES[value["type"]] + (f", {limits}" if limits else "")


def _toml(value: Any) -> str:
    if value is None:
        return "left out"
    if value == {}:
        return "empty"
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
