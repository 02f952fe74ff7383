"""The demo: two nodes on this machine carry out the agreements that public reports speak of."""
