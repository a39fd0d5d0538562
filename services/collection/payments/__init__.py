"""Payments (代收费款): orders become lines on obligations, receipts are used once, no final money is lost."""
