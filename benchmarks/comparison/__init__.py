"""The same job on Pegel and on what one would otherwise take, with outputs proven equal: see README.md."""
