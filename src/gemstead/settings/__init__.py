"""One typed, frozen model of every setting; the only reader of the environment."""
