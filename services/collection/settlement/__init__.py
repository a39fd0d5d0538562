"""Settlement (日报解、日结): what agents deposit and channels file, against what was taken, day by day."""
