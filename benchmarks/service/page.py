"""The tables of docs/explanation/reliability.md, made of what each part found and put between its marks; the prose is by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "reliability.md"
_MARKS = re.compile(r"<!-- measured: ([\w-]+) -->\n.*?<!-- end -->", re.DOTALL)
Found = Mapping[str, Any]
Rows = list[tuple[str, str]]


def write_page(out: Path) -> None:
    """Put the table of every part that was measured in its place."""

    def table(match: re.Match[str]) -> str:
        part = match[1]
        file = out / f"{part}.json"
        if not file.exists():
            return match[0]
        return f"<!-- measured: {part} -->\n{_table(part, json.loads(file.read_text('utf-8')))}<!-- end -->"

    PAGE.write_text(_MARKS.sub(table, PAGE.read_text("utf-8")), "utf-8")


def _table(part: str, found: Found) -> str:
    about = found["about"]
    rows = [
        ("measured", f"{about['date']}, seed {about['seed']}, revision {about['revision']}"),
        ("machine", f"{about['machine']}; load average {about['load_at_start']} at the start{_others(found)}"),
        *_ROWS[part.partition("-")[0]](found),
    ]
    if "network" in about:
        rows.insert(1, ("network", about["network"]))
    command = about.get("command", f"--only {part}")
    lines = [f"`python benchmarks/serving.py {command}`", "", "| what | found |", "|---|---|"]
    return "\n".join([*lines, *(f"| {what} | {value} |" for what, value in rows), ""])


def _others(found: Found) -> str:
    machine = found.get("machine", {})
    if not machine:
        return ""
    share = machine.get("others_share")
    others = "" if share is None else f"; others used {share:.0%} of its cores meanwhile"
    return f", {machine['load_average']} at the end{others}"


def _counts(found: Found) -> Rows:
    counts = found["counts"]
    refused = ", ".join(f"{n:,} x {answer}" for answer, n in sorted(counts["refused"].items())) or "none"
    return [
        ("images sent, attempts", f"{counts['sent']:,}, {counts['attempts']:,}"),
        ("attempts that were not acknowledged, by door and answer", refused),
        ("acknowledged", f"{counts['acknowledged']:,}"),
        ("of these lost", f"{counts['lost']:,}"),
        ("kept twice", f"{counts['doubled']:,}"),
        ("kept, but the acknowledgement did not arrive", f"{counts['there_without_acknowledgement']:,}"),
        ("read; twice; not at all", f"{counts['read']:,}; {counts['read_twice']:,}; {counts['unread']:,}"),
        ("files missing", f"{counts['files_missing']:,}"),
        ("the audit log's chain", "whole" if counts["audit_log_whole"] else "broken"),
    ]


def _load(found: Found) -> Rows:
    share = found["share_of_bare"]
    cpu, memory = found["cpu_seconds"], found["memory_mib"]
    return [
        *_counts(found),
        ("acknowledged after, p50 and p95 (C-STORE)", _seconds(found["acknowledged_p50_p95_s"]["dicom"])),
        ("acknowledged after, p50 and p95 (HTTP)", _seconds(found["acknowledged_p50_p95_s"]["http"])),
        ("from received to read, p50 and p95", _seconds(found["received_to_read_p50_p95_s"])),
        ("received, read a second", f"{found['received_per_second']}, {found['read_per_second']} images"),
        ("share of the bare reader's rate", "not measured" if share is None else f"{share:.2f}"),
        ("seconds of a core", _listed(f"{kind} {used:,.0f}" for kind, used in cpu.items())),
        *(
            (f"memory of {kind}: a quarter, a half, the whole time through; the most", _mib(of))
            for kind, of in memory.items()
        ),
    ]


def _bare(found: Found) -> Rows:
    each = found["seconds_wall_cpu"]
    return [
        ("images, repeats", f"{found['images']:,}, {found['repeats']}"),
        (
            "`cxreader read`, its start taken off",
            f"{found['bare_per_second']} images/s; {_walls(each, 'command')} s with it, of a core {_cores(each, 'command')} s",
        ),
        ("the start alone (one file)", f"{_walls(each, 'start')} s, of a core {_cores(each, 'start')} s"),
        (
            "the service",
            f"{found['service_per_second']} images/s; {_walls(each, 'service')} s, of a core {_cores(each, 'service')} s",
        ),
        ("ratio of the rates, of each repeat; median", f"{_listed(found['ratio'])}; {found['ratio_median']}"),
        ("ratio of the seconds of a core", _listed(found["ratio_of_cpu"])),
    ]


def _kill(found: Found) -> Rows:
    waits = [
        (f"{kind}: seconds until {what}, median and longest", _listed(values))
        for kind, of in found["seconds_from_a_kill_until_p50_max"].items()
        for what, values in of.items()
    ]
    return [
        ("kills", _listed(f"{kind} {count}" for kind, count in found["kills"].items())),
        ("seconds of sending", f"{found['seconds_of_sending']:,}"),
        *_counts(found),
        *waits,
    ]


def _disk(found: Found) -> Rows:
    refused = _listed(f"{n:,} x {answer}" for answer, n in sorted(found["refused_while_full"].items()))
    return [
        ("disk", f"{found['room_mib']} MiB, then enough"),
        ("acknowledged before it was full", f"{found['acknowledged_before_it_was_full']:,}"),
        ("full for", f"{found['seconds_full']} s"),
        ("refused meanwhile, by door and answer", refused),
        *_counts(found),
    ]


def _database(found: Found) -> Rows:
    return [
        ("away for", f"{found['seconds_away']} s"),
        ("acknowledged before; meanwhile", f"{found['acknowledged_before']:,}; {found['acknowledged_while_away']:,}"),
        (
            "from its return to the next acknowledgement",
            f"{found['seconds_from_its_return_to_the_next_acknowledgement']} s",
        ),
        ("from its return to the next answer", f"{found['seconds_from_its_return_to_the_next_answer']} s"),
        *_counts(found),
    ]


def _clock(found: Found) -> Rows:
    return [
        ("images, half of them before the clock was set back", f"{found['images']:,}"),
        ("set back by", f"{found['set_back_seconds']:,.0f} s"),
        ("read without waiting for it to catch up", f"{found['read']:,}"),
        (
            "waits that the worklist shows",
            f"{found['shortest_wait_shown_minutes']}-{found['longest_wait_shown_minutes']} min",
        ),
    ]


def _destination(found: Found) -> Rows:
    return [
        ("images", f"{found['images']:,}"),
        ("rounds tried in the hour", f"{found['rounds_tried_in_the_hour']:,}"),
        ("outbox after the hour", _states(found["states_after_the_hour"])),
        (
            "from its return until all was sent",
            f"{found['simulated_seconds_from_its_return_until_all_was_sent']:,} s of simulated time",
        ),
        ("outbox at the end", _states(found["states_at_the_end"])),
        ("different objects at the peer", f"{found['objects_at_the_peer']:,}"),
    ]


def _worklist(found: Found) -> Rows:
    quiet, busy = found["quiet"], (found["first_page"], found["further_pages"])
    return [
        ("studies; images that arrived", f"{found['studies']:,}; {found['images_per_second']} a second"),
        *((f"{name} page, nothing arrives", _page(of)) for name, of in zip(("first", "further"), quiet, strict=True)),
        *((f"{name} page, images arrive", _page(of)) for name, of in zip(("first", "further"), busy, strict=True)),
        ("seconds of a core", _listed(f"{kind} {used:,.0f}" for kind, used in found["cpu_seconds"].items())),
    ]


_ROWS: Mapping[str, Callable[[Found], Rows]] = {
    "bare": _bare,
    "load": _load,
    "kill": _kill,
    "disk": _disk,
    "database": _database,
    "clock": _clock,
    "destination": _destination,
    "worklist": _worklist,
}


def _listed(values: Iterable[object]) -> str:
    return ", ".join(str(one) for one in values) or "none"


def _seconds(values: Sequence[float]) -> str:
    return _listed(f"{one} s" for one in values)


def _mib(of: Mapping[str, float]) -> str:
    return f"{of['quarter']:,.0f}, {of['half']:,.0f}, {of['end']:,.0f}; {of['most']:,.0f} MiB"


def _page(of: Mapping[str, float]) -> str:
    return f"p50 {of['p50']:,.0f}, p95 {of['p95']:,.0f}, longest {of['most']:,.0f} ms of {of['requests']:,}"


def _states(of: Mapping[str, int]) -> str:
    return _listed(f"{count:,} {state}" for state, count in sorted(of.items()))


def _walls(rows: Sequence[Mapping[str, Sequence[float]]], name: str) -> str:
    return _listed(f"{row[name][0]:,.1f}" for row in rows)


def _cores(rows: Sequence[Mapping[str, Sequence[float]]], name: str) -> str:
    return _listed(f"{row[name][1]:,.1f}" for row in rows)
