"""One file a public set: its published layout, terms, and what its labels become."""
