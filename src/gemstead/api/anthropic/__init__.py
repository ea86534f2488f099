"""The parts of the Anthropic dialect: what each field means, decoding, encoding. Pure; its plugin joins them."""
