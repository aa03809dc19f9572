"""The least that any schedule needs: bytes, passes, and the limits that follow."""
