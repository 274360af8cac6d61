"""How each stage meets Beam: one composite transform a file, thin; the rules are in `transforms.logic`."""
