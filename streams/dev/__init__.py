"""What a developer needs around Pegel and a production deployment does not: a broker of one's own."""
