-- The log is probed by its keys with plans made once: statistics decide little there, and collecting them took a core for
-- a tenth to a third of a second whenever a table had grown by half, in the middle of a peak. A quarter of the sample is
-- enough; of payloads, digests and answers nothing is asked.
ALTER TABLE platform.events
    ALTER data SET STATISTICS 0, ALTER metadata SET STATISTICS 0,
    ALTER position SET STATISTICS 25, ALTER event_id SET STATISTICS 25, ALTER era SET STATISTICS 25,
    ALTER stream SET STATISTICS 25, ALTER version SET STATISTICS 25, ALTER type SET STATISTICS 25,
    ALTER schema SET STATISTICS 25, ALTER occurred_at SET STATISTICS 25, ALTER recorded_at SET STATISTICS 25,
    ALTER appended_at SET STATISTICS 25;
ALTER TABLE platform.idempotency
    ALTER digest SET STATISTICS 0, ALTER response SET STATISTICS 0,
    ALTER organisation SET STATISTICS 25, ALTER operation SET STATISTICS 25, ALTER key SET STATISTICS 25,
    ALTER status SET STATISTICS 25, ALTER era SET STATISTICS 25, ALTER stream SET STATISTICS 25,
    ALTER version SET STATISTICS 25;
ALTER TABLE platform.guards
    ALTER kind SET STATISTICS 25, ALTER key SET STATISTICS 25, ALTER holder SET STATISTICS 25;
