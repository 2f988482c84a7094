"""The HTTP door: the API, DICOMweb, FHIR, and signing in."""
