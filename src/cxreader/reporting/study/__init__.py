"""The page, the figures and the tables of a study of several networks."""
