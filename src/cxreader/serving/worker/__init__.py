"""The process that reads what waits in the queue."""
