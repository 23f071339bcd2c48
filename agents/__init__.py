"""The roles, the loop that plays them, and the models behind them."""
