-- A service that looks people up by number keeps the blind index beside the sealed row; null elsewhere.
ALTER TABLE platform.private ADD COLUMN blind_index text;
CREATE INDEX private_by_number ON platform.private (blind_index) WHERE blind_index IS NOT NULL;
