"""The sentences of the program in its three languages, as gettext catalogues (see `kernel/words.py`)."""
