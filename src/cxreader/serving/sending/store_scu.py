"""Objects to a destination by C-STORE, all of a batch on one association."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cxreader.serving.dicom.associations import Called, RefusedError, associated
from cxreader.serving.dicom.contexts import PLAIN, VERIFICATION
from cxreader.serving.results.sr import COMPREHENSIVE, COMPREHENSIVE_3D, as_comprehensive
from cxreader.serving.sending.outcomes import Outcome, of_status

if TYPE_CHECKING:
    from pydicom import Dataset
    from pynetdicom.association import Association

    from cxreader.serving.settings import DicomSection

SECONDARY_CAPTURE, PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.11.1"
OFFERED = tuple((uid, PLAIN) for uid in (COMPREHENSIVE_3D, COMPREHENSIVE, SECONDARY_CAPTURE, PRESENTATION_STATE))


def send(section: DicomSection, address: Mapping[str, Any], files: Sequence[bytes]) -> list[Outcome]:
    """Send files; one outcome each."""
    outcomes: list[Outcome] = []
    try:
        with associated(section, Called(**address), OFFERED) as association:
            outcomes.extend(_sent(association, data) for data in files)
    except RefusedError as error:
        outcomes += [Outcome("again", error.why, reached=False)] * (len(files) - len(outcomes))
    return outcomes


def echo(section: DicomSection, address: Mapping[str, Any]) -> str:
    """C-ECHO; empty where it was answered, else why not."""
    try:
        with associated(section, Called(**address), [(VERIFICATION, PLAIN)]) as association:
            status = association.send_c_echo().get("Status")
    except RefusedError as error:
        return error.why
    return "" if status == 0 else "no answer to C-ECHO"


def _sent(association: Association, data: bytes) -> Outcome:
    from pydicom import dcmread

    accepted = {context.abstract_syntax for context in association.accepted_contexts}
    made: Dataset = dcmread(io.BytesIO(data))
    if made.SOPClassUID == COMPREHENSIVE_3D and COMPREHENSIVE_3D not in accepted:
        made = as_comprehensive(made)
    if made.SOPClassUID not in accepted:
        return Outcome("dead", f"the destination does not take {made.SOPClassUID.name}")
    if not association.is_established:
        return Outcome("again", "the association was ended")
    status = association.send_c_store(made)
    return of_status(status.get("Status") if status else None)
