"""Many configurations of one network, tried by several processes; the best is judged once."""
