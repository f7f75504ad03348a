"""What sits at the seam to other programs: web frameworks, receivers of webhooks."""
