"""What operators do to the installation itself: archiving, rebuilding, rotating."""
