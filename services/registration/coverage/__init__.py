"""Coverage (应保尽保): who could be insured, who is enrolled, who is paid for, and who is missing."""
