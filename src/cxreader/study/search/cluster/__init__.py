"""Trials on the machines of a Ray cluster: its workers train, the machine that drives keeps the search's folder alone."""
