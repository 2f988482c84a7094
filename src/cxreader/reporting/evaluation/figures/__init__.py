"""What an evaluation's page draws."""
