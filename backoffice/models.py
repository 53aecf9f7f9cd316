"""What the back-office keeps itself."""
