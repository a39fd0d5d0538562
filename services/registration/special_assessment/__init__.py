"""Special assessments (特殊缴费核定): what a late payer owes, decided before the payment (I-31)."""
