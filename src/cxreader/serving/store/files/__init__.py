"""Files by the SHA-256 of their bytes: what was received, and what was made of it."""
