"""The questions that a secretary asks of the records, and the own desk: read above the services, decided nowhere."""
