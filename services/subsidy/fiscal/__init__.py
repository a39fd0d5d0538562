"""Fiscal money beside 代缴: family-planning couples, and the subsidies per booked head (财政补助, D-45)."""
