-- What is true of the store as a whole: `store`, a random id by which views know whether they were
-- made from it; `key:…`, fingerprints of the node's keys.
CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
INSERT INTO meta (name, value) VALUES ('store', replace(gen_random_uuid()::text, '-', ''));
-- Random, one for each time that changes are appended: a restored backup that went on differently
-- is told from the feed that a view has seen, even where it took the same numbers again.
ALTER TABLE change ADD COLUMN mark BIGINT NOT NULL DEFAULT 0;
