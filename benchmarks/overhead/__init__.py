"""What the door adds to a request, with a fake engine behind it that costs next to nothing."""
