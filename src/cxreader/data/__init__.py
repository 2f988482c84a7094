"""Sources of labelled images, split, cache and batches."""
