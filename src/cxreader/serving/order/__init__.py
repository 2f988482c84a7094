"""The order of the worklist: bands, longest waits, reasons in words."""
