"""Concluding agreements: proposed, signed, brought into force, amended, suspended, ended; each side says its own side."""
