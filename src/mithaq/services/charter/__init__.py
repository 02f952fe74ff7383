"""The built-in charter: offices that can be written to, refusals, and word that an enclosure was erased."""
