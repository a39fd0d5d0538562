"""Refunds (退费): opened by a finding or on request, verified by registration, approved by finance, paid whole."""
