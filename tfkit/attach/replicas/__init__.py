"""What a fit on several devices needs that Keras gets wrong: repairs, and the callback that applies them."""
