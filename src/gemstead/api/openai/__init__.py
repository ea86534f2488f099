"""The parts of the OpenAI dialect: what each field means, decoding, encoding. Pure; `dialects/openai.py` joins them."""
