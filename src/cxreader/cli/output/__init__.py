"""How results look on a terminal: where text goes, tables that fit, and what several commands print alike."""
