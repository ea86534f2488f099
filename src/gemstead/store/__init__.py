"""The one database: opened, migrated, backed up."""
