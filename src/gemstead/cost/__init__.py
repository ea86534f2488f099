"""Energy and money (pure): what a million tokens need, cost and emit, on a machine of one's own."""
