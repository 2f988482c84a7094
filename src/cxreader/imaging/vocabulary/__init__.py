"""What the words of a header mean: modality, body part and view, in the languages and spellings of hospitals."""
