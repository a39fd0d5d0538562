"""Which policy pack decides for a division and year. A layer below the capabilities, not one of them."""
