"""Days of two or three nodes in seconds: the real kernel under a virtual clock, one seed, and everything that goes wrong."""
