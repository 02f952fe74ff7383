"""Talk between officials of the parties, under the clause that lets them: messages, replies, word that they were read."""
