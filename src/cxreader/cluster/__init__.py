"""Work on the machines of a Ray cluster (https://docs.ray.io): the connection, and workers that are begun, heard and replaced."""
