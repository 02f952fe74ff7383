"""The command line: reads what a person typed, calls the node or its records, says what happened and how it ended."""
