"""What a model leaves out at random while it trains."""
