DELETE FROM counter WHERE name = 'finding';
ALTER TABLE series DROP COLUMN person;
