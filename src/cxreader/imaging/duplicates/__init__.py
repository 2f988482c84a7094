"""Is it the same picture: files and pixels told apart by what they hold, not by their names."""
