"""The folder door: what is put into a watched folder is received."""
