"""Does a model see disease, or something that stands beside it: the audit, and what it looks at."""
