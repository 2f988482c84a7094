"""The DICOM node: receives images by C-STORE, answers C-ECHO, and commits to keep what it received."""
