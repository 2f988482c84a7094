"""A result and its study as FHIR R4 resources (https://hl7.org/fhir/R4/), as plain values for JSON."""
