"""Readings as a user sees them: the table on the terminal and the note below it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from cxreader.cli.output.console import DISCLAIMER, fits, one_line, table
from cxreader.inference.answer_text import interval_text, probability_text

if TYPE_CHECKING:
    from cxreader.inference.member import Member
    from cxreader.inference.reader import Reader
    from cxreader.records import OperatingPoint

MOST_SHOWN = 60
"""Rows on the terminal; more are for a file."""
_MOST_NOTES = 5


def show_rows(rows: Iterable[dict[str, Any]], reader: Reader, *, why: bool) -> None:
    """Print the first rows (`table.row_of`) and how many more there are; `why` adds the reason of each one's rank."""
    waiting = iter(rows)
    shown = list(islice(waiting, MOST_SHOWN))
    more = sum(1 for _ in waiting)
    scored = any(row.get("score") is not None for row in shown)
    header = ["image", "acceptance", "decision", *(["score"] if scored else ["probability", "interval", "conformal"])]
    if len(reader.members) > 1:
        header.append("agreement")
    sentences = ["reasons", "rank"] if why else ["reasons"]
    header += sentences
    folder = common_folder([row["image"] for row in shown])
    cells = [[_cell(row, column, folder) for column in header] for row in shown]
    below = [_sentences(row, folder, why=why) for row in shown if row["reasons"] or (why and not _rank_is_plain(row))]
    rest = f"And {more:,} more: write them to a file with --out." if more else ""
    basis = note(reader, _noted(shown, {member.support.note for member in reader.members}), rest)
    title = one_line(f"in {_on_one_line(folder)}") if folder else None
    show_answers(title, header, cells, sentences=sentences, below=below, note=basis)


def show_answers(
    title: str | None,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    sentences: Sequence[str],
    below: Sequence[str],
    note: str,
) -> None:
    """A table of image, acceptance, decision and more columns; `sentences` are its last.

    Where the terminal is too narrow for columns of sentences, the lines `below` stand below it in their place, and
    acceptance and decision are one column.
    """
    if not fits(header, rows, folding=sentences):
        end = len(header) - len(sentences)
        header = ["image", "answer", *header[3:end]]
        rows = [
            [image, _answer(acceptance, decision), *cells[: end - 3]] for image, acceptance, decision, *cells in rows
        ]
        sentences = []
        note = "".join(f"{line}\n" for line in below) + "\n" * bool(below) + note
    table(title, header, rows, left=("acceptance", "answer", "conformal", *sentences), folding=sentences, note=note)


def note(reader: Reader, *more: str) -> str:
    """What the numbers rest on: runtimes, artifacts, operating point, calibration; `more` lines, and what it is not for."""
    return "\n".join([_basis_of(reader), *reader.doubts, *(line for line in more if line), DISCLAIMER])


def _basis_of(reader: Reader) -> str:
    point = reader.operating_point
    if len(reader.members) == 1:
        return f"{_basis(reader.members[0])} {_by(reader.members[0])}."
    models = "; ".join(f"{n}: {_by(member)}" for n, member in enumerate(reader.members, 1))
    calibrated = all(member.support.calibrated for member in reader.members)
    return (
        f"abnormal from {point.threshold:.3f} ({point.name}, {point.rule}); {'probability' if calibrated else 'score'}: the mean "
        f"of the models', referred where theirs are more than {reader.disagreement:g} apart; agreement: 1 less that distance; "
        "interval: from the "
        f"lowest to the highest end of theirs. {models}."
    )


def _basis(member: Member) -> str:
    point, calibration = member.operating_point, member.calibrator
    decides = f"abnormal from {point.threshold:.3f} ({point.name}, {_fitted(point)})"
    if not member.support.calibrated:
        return f"{decides}; {member.support.note}{_refusals(member)}."
    images = calibration.n_positive + calibration.n_negative
    fitted = member.support.note or f"probability calibrated on {images:,} images"
    where = ", at their prevalence" if member.support.note is None else "; the probability holds at their prevalence"
    interval = "interval: none, this artifact holds no Venn-Abers predictor"
    if member.venn_abers is not None:
        interval = "interval: the Venn-Abers pair of the probability, which is kept inside it; it has no level"
    mode = ""
    if member.conformal is not None:
        share = f"{100 * member.conformal.alpha:g} %"
        mode = f"; conformal: at most {share} of each class are called the other, fitted on the same images"
    return f"{decides}; {fitted}{where}; {interval}{mode}{_refusals(member)}."


def _fitted(point: OperatingPoint) -> str:
    if point.fitted_on != "calibrate":
        return point.rule
    return f"fitted on {point.n_positive} abnormal and {point.n_negative} normal images"


def _refusals(member: Member) -> str:
    """What its checks together refuse of good images, as the artifact states it."""
    from cxreader.models.acceptance.out_of_distribution import CHECKS

    if member.ood_detector is None:
        return "; nothing is refused for what it looks like to the network"
    stated = 100 * member.ood_detector.false_refusals
    return f"; each of its {CHECKS} checks falsely refuses at most {stated:.1f} % of images like these, as fitted"


def _by(member: Member) -> str:
    return (
        f"Artifact {member.id} ({member.artifact.model}, {member.artifact.transfer}), read with {member.backend.name}"
    )


def common_folder(names: list[str]) -> str:
    """The folder that holds all of several files, with its slash, so that it need not stand in every row; else nothing."""
    folders = {os.path.dirname(name) for name in names}  # noqa: PTH120
    mixed = len({folder.startswith("/") for folder in folders}) > 1
    folder = os.path.commonpath(folders) if len(names) > 1 and not mixed else ""
    return f"{folder.rstrip('/')}/" if folder else ""


def _on_one_line(name: str) -> str:
    from cxreader.inference.batch.names import on_one_line

    return on_one_line(name)


def _noted(rows: list[dict[str, Any]], of_model: set[str | None]) -> str:
    """What is to be known of pictures, each once with the number of files it is true of; `of_model` stands below once."""
    noted = Counter(one for row in rows for one in (row["notes"] or "").split("; ") if one and one not in of_model)
    return "\n".join(f"{count:,} of {len(rows):,}: {one}." for one, count in noted.most_common(_MOST_NOTES))


def _cell(row: dict[str, Any], column: str, folder: str) -> str:
    if column == "image":
        return _on_one_line(row["image"].removeprefix(folder))
    if column == "agreement":
        return f"{row[column]:.3f}" if row[column] is not None else ""
    if column in ("probability", "score"):
        return probability_text(row[column], row["threshold"])
    if column == "interval":
        low, high = row["probability_low"], row["probability_high"]
        return "" if low is None else interval_text(row["probability"], low, high, row["threshold"])
    if column == "rank":
        return f"{row['rank']}: {row['reason_of_rank']}"
    return row[column] or ""


def _sentences(row: dict[str, Any], folder: str, *, why: bool) -> str:
    """What the columns of sentences hold, as one line."""
    line = f"{_cell(row, 'image', folder)}: "
    if why:
        line = f"{row['rank']}. {line}{row['reason_of_rank']}" + "; " * bool(row["reasons"])
    return line + (row["reasons"] or "")


def _rank_is_plain(row: dict[str, Any]) -> bool:
    """True when the reason of its rank is the answer that the table shows."""
    from cxreader.inference.triage import REFERRED_BY_RULE, plain_reason

    decision, probability = row["decision"], row["probability"]
    if decision is None:
        return False
    value = row["score"] if probability is None else probability
    plain = plain_reason(decision, value, calibrated=probability is not None)
    return row["reason_of_rank"] in (plain, f"{plain}; {REFERRED_BY_RULE}")


def _answer(acceptance: str, decision: str) -> str:
    """The two in one cell; a warning, or a refusal that was overruled, beside the decision."""
    return f"{decision}, {acceptance}" if decision and acceptance in ("warning", "refused") else decision or acceptance
