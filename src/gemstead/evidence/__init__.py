"""What happened, in a form that shows when it was changed: records, their chain, their tree."""
