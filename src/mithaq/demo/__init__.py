"""The demonstration: two nodes as two processes, and a story that shows what they do, on agreements from public reports."""
