"""What became of one object that was sent, by what the other side said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SUCCESS, DUPLICATE, PROCESSING_FAILURE = 0x0000, 0x0111, 0x0110
UNSUPPORTED = 0x0122
"""Refused: SOP class not supported."""
_RETRIED_HTTP = frozenset((401, 403, 404, 408, 425, 429))
"""Of the client's errors those that are of the address, not of the object."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`sent`, `again` (later) or `dead`, and `why` in words without patient data. `reached`: whether somebody answered at all."""

    state: Literal["sent", "again", "dead"]
    why: str = ""
    reached: bool = True


SENT = Outcome("sent")


def of_status(status: int | None) -> Outcome:
    """Of a C-STORE's status (PS3.4 B.2.3, PS3.7 C): warnings are success, out of resources and silence are tried again."""
    if status is None:
        return Outcome("again", "no response to C-STORE")
    if status in (SUCCESS, DUPLICATE) or status >> 12 == 0xB:
        return SENT
    why = f"C-STORE status {status:04X}"
    return Outcome("again" if status >> 8 == 0xA7 or status == PROCESSING_FAILURE else "dead", why)


def of_http(code: int, reasons: tuple[int, ...] = (), *, is_kept: bool = False) -> Outcome:
    """Of a STOW-RS response (PS3.18 10.5.3), with the failure reasons of its body, and whether that names the object as kept.

    202 says that something is amiss with what was sent: of one object that is named as kept, a warning.
    """
    if not reasons and (code == 200 or (code == 202 and is_kept)):
        return SENT
    if reasons:
        worst = of_status(reasons[0])
        return Outcome(worst.state, f"STOW-RS {code}, failure reason {reasons[0]:04X}") if worst.why else SENT
    again = code >= 500 or code in _RETRIED_HTTP
    return Outcome("again" if again else "dead", f"STOW-RS {code}")
