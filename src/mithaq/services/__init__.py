"""The services under the clauses: one folder each, the same file names in every folder."""
