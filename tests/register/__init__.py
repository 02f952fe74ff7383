"""The register: exports, feeds, printing, questions."""
