"""The embedded engine: a small Beam runner whose state, timers and hand-over rest in one log on this machine."""
