"""From a probability to a decision, and what the decision does on the test part."""
