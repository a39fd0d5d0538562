"""Assessment (应缴核定): what a person owes for one insurance and year, by the pack of the open campaign."""
