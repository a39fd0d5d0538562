"""Collection (征缴), owned by the tax bureau (税务): campaigns, rosters, payments, settlement, treasury."""
