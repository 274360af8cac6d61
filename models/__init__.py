"""The models that Rapport ships, the gate they pass, and the features they read; `train/` makes them."""
