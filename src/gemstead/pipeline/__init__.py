"""The one path a request takes, from who may enter to what is recorded."""
