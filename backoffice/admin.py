"""What the back-office shows; Django looks for it here."""
