"""Why: pure rules, one a file. Nothing here knows Beam, a clock, a network or chance."""
