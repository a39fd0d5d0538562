"""Which policy pack decides a campaign. A layer below the capabilities, not one of them."""
