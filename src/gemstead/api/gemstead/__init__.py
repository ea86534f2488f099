"""The parts of gemstead's own API. Pure; its plugin joins them."""
