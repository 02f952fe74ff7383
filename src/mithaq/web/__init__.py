"""The faces of a node over HTTP: the exchange with the peers, the programs' interface, the console for people."""
