"""Synthetic radiographs with true boxes: anatomy, lesions, film, and how they lie on the disk."""
