DROP INDEX dataset_selection;
ALTER TABLE dataset DROP COLUMN selection;
