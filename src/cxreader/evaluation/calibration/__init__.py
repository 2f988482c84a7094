"""From a network's score to a probability, and whether the probabilities come true."""
