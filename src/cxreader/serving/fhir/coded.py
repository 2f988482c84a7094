"""What both resources share: ids, codes, dates, and whose they are."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from cxreader.serving.store.tables.images import Study

Json = dict[str, Any]
DCM = "http://dicom.nema.org/resources/ontology/DCM"
SCT = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
URI = "urn:ietf:rfc:3986"
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


def resource_id(key: str) -> str:
    """A key as a resource's id, whose letters are fewer (https://hl7.org/fhir/R4/datatypes.html#id)."""
    return key.replace("_", ".")


def key_of(resource_id: str) -> str:
    """The key of a resource's id."""
    return resource_id.replace(".", "_")


def concept(system: str, code: str, display: str) -> Json:
    """A CodeableConcept."""
    return {"coding": [coding(system, code, display)]}


def coding(system: str, code: str, display: str) -> Json:
    """A Coding."""
    return {"system": system, "code": code, "display": display}


def oid(uid: str) -> str:
    """A DICOM UID as a URI (RFC 3061)."""
    return f"urn:oid:{uid}"


def day(dicom: str) -> str | None:
    """A DICOM date as FHIR has it; None for what is none. Times are left out: DICOM's are local, FHIR's need their zone."""
    match = re.match(r"(\d{4})(\d{2})(\d{2})", dicom, re.ASCII)
    try:
        return None if match is None else date(*map(int, match.groups())).isoformat()
    except ValueError:
        return None


def subject(study: Study) -> Json:
    """Whose it is: a reference by the hospital's own number, since the service holds no Patient resources."""
    if not study.patient_id:
        return {"type": "Patient", "display": "not known"}
    assigner = {"assigner": {"display": study.issuer}} if study.issuer else {}
    return {"type": "Patient", "identifier": {"value": study.patient_id, **assigner}}


def filled(values: Json) -> Json:
    """Without what is empty: FHIR knows no empty elements."""
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}
