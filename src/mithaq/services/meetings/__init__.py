"""What the sides meet for: joint bodies, invitations and visits, minutes over one hash with what each side does next."""
