"""DICOM files: bytes to elements, elements to a picture."""
