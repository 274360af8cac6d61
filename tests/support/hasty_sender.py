"""The real sender with one planted mistake, for the chaos harness: python hasty_sender.py DATA WORKSPACE"""

from __future__ import annotations

import sys
from pathlib import Path

from sender_process import Hasty

from pipelines import sender
from pipelines.__main__ import stopper
from pipelines.config import Config

if __name__ == "__main__":
    sender.Delivery = Hasty
    sender.run(Config(Path(sys.argv[1]), Path(sys.argv[2])), stopper())
