"""Many files, resumable: chunks that processes claim, one answer a file."""
