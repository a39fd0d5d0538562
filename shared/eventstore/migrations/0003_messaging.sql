-- What shared/messaging keeps beside offsets: which of an event's messages a watermark stands at, and where
-- each epoch of the log began.

ALTER TABLE platform.watermarks ADD COLUMN IF NOT EXISTS source_index integer NOT NULL DEFAULT 0;

CREATE TABLE IF NOT EXISTS platform.log_epochs (
    log text NOT NULL,
    epoch integer NOT NULL,
    started_after bigint NOT NULL,
    raised_at timestamptz NOT NULL,
    PRIMARY KEY (log, epoch)
);
