"""DICOM objects of a result: SR, secondary capture with the heat map, presentation state with regions."""
