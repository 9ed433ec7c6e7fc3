-- What became of each dataset of the catalogue, in order: created, updated, deleted. Rows are only
-- appended; when a later event of the same dataset comes, its number is noted in `successor` and
-- what was served until then in `document`. Times are microseconds since 1970-01-01T00:00:00Z and
-- never fall from row to row. `published` is how many datasets are published after the event.
CREATE TABLE dataset_event (
    seq BIGINT NOT NULL PRIMARY KEY,
    slug TEXT COLLATE "C" NOT NULL,
    operation SMALLINT NOT NULL,
    version TEXT NOT NULL,
    access TEXT NOT NULL,
    time BIGINT NOT NULL,
    hash TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    published BIGINT NOT NULL,
    successor BIGINT,
    document TEXT
);
CREATE INDEX dataset_event_slug ON dataset_event (slug, seq, successor, operation, time, access);
CREATE INDEX dataset_event_time ON dataset_event (time, seq);
INSERT INTO counter (name, value) VALUES ('dataset_event', 0);
