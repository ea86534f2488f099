"""What the guards find, miss and cost: the tables of docs/guards.md."""
