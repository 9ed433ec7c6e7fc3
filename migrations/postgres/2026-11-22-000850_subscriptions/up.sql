-- Subscriptions to changes (FHIR R4 Subscription): what the client wrote, and how far the feed
-- was followed for it. `seq` is the last change of the feed that was looked at and, where it
-- answers the criteria, delivered; `attempts` counts those that failed since the last one that
-- did not, and before `due` (microseconds since 1970-01-01T00:00:00Z) nothing is tried.
CREATE TABLE subscription (
    id TEXT NOT NULL PRIMARY KEY,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    status TEXT NOT NULL,
    error TEXT,
    version INTEGER NOT NULL,
    updated BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    attempts INTEGER NOT NULL,
    due BIGINT NOT NULL
);
