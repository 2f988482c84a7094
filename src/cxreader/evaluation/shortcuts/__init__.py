"""Is the model better than what sees no disease: baselines and the verdict on confounding."""
