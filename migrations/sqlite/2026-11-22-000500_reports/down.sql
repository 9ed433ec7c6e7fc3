DELETE FROM counter WHERE name = 'report';
DROP TABLE report;
