"""Fifty keys at one door, one of them a hundred times heavier: quotas, fairness, errors, memory."""
