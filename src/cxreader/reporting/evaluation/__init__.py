"""The page, the figures, the tables and the model card of one evaluation."""
