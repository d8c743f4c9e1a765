"""Networks of single bits, trained in the environment by natural evolution strategies."""
