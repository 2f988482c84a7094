"""For whom: the same figures by sex, age, view, source and finding."""
