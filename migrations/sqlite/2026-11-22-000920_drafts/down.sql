DROP TABLE description_write;
DROP TABLE draft;
DELETE FROM counter WHERE name IN ('draft', 'description_write');
