-- Every version of every description: who, when, what changed. Rows are only ever added.
-- Times are microseconds since 1970-01-01T00:00:00Z.
CREATE TABLE description_version (
    number BIGINT NOT NULL PRIMARY KEY,
    slug TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    who TEXT NOT NULL,
    verdict TEXT NOT NULL,
    changes TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX description_version_slug ON description_version (slug, number);
INSERT INTO counter (name, value) VALUES ('description_version', 0);
