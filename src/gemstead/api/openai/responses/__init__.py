"""The Responses API, part by part: what each field means, items in and out, the reply whole and as a stream. Pure."""
