"""What the service keeps: a database, and an object store for files."""
