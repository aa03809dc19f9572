"""Pictures: one file a picture, matplotlib loaded when it draws."""
