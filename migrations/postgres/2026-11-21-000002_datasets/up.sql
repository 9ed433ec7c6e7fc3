-- Datasets of the catalogue: the steward's description, what was published of it, and why not.
-- Times are microseconds since 1970-01-01T00:00:00Z.
CREATE TABLE dataset (
    slug TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    description TEXT NOT NULL,
    version TEXT NOT NULL,
    figures TEXT NOT NULL,
    document TEXT NOT NULL,
    report TEXT NOT NULL,
    issued BIGINT NOT NULL,
    modified BIGINT NOT NULL,
    next_release BIGINT
);
CREATE INDEX dataset_state ON dataset (state, slug);
INSERT INTO counter (name, value) VALUES ('dataset', 0);
CREATE INDEX change_kind ON change (kind, seq);
