"""Radiologists beside each other and beside the model: readings, truths, reader studies."""
