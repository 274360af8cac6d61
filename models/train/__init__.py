"""Scripts that make the models from a data folder; they run offline on one core and need the `train` extra."""
