"""The numbers of an evaluation's page in rows and columns."""
