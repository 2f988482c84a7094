"""What reading in another order would change: a worklist simulated as a queue."""
