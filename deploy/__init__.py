"""What runs Pegel, and the programs that write it: `python -m deploy.prometheus`, and its neighbours."""
