"""Where state rests: the one log format, rows found in it, and what other processes may read of them."""
