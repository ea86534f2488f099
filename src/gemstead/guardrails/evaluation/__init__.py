"""How well the guards do: sets of texts that are told apart, and what is measured on them."""
