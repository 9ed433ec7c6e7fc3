-- The digest of the selection that a dataset's figures were counted by, so that whoever counts
-- finds others with the same one: figures of the same data change together, on one schedule.
-- Empty: not known yet, as of rows that were written before.
ALTER TABLE dataset ADD COLUMN selection TEXT NOT NULL DEFAULT '';
CREATE INDEX dataset_selection ON dataset (selection);
