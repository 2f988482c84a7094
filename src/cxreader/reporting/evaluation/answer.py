"""One question that a department asks, with its answer."""

from __future__ import annotations

from dataclasses import dataclass

AUDIT = "cxreader audit shortcuts --model ARTIFACT --data SOURCE"
EVALUATE = "cxreader evaluate"
NONE = "\N{EN DASH}"
"""What stands at a glance where there is no number."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One question, the `figure` to see at a glance, the sentence, and what it rests on.

    `anchor` names the section that tells more. `command`: how to ask, where it was not asked. `alert`: bad news.
    """

    question: str
    anchor: str
    figure: str
    text: str
    rests_on: str = ""
    command: str = ""
    alert: bool = False

    @property
    def asked(self) -> bool:
        """Whether the answer has a number; False where it says how to ask."""
        return not self.command and self.figure != NONE


def not_asked(question: str, anchor: str, text: str, command: str = "") -> Answer:
    """The answer to what was not asked: `text` says what it needs, `command` is how to ask."""
    return Answer(question, anchor, NONE, text, command=command)
