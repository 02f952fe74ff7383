"""What every statement needs, whatever it is about: acts, mandates, logs, proofs, keys. Knows no word of border work."""
