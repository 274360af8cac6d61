"""The demo: a made-up shop, its people and their planted stories."""
