"""The databases: opened, migrated, private to their user; and private files beside them."""
