"""The page and the figures of a search over configurations."""
