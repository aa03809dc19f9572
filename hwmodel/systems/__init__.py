"""What happens between several estimates in time."""
