"""The parts of the Ollama dialect: what each field means, decoding, encoding. Pure; `dialects/ollama.py` joins them."""
