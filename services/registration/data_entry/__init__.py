"""信息录入 data entry: where a plan lets the station enter, leg by leg, what was paid and has arrived."""
