INSERT INTO item VALUES (1, 'x', true, 'one'), (1, 'y', false, 'two'), (2, 'x', NULL, NULL)
UPDATE item SET live = NOT live WHERE a = 1
UPDATE item SET note = 'secret' WHERE b = 'y'
UPDATE item SET live = true, note = NULL
BEGIN; UPDATE item SET b = 'z' WHERE a = 2; SAVEPOINT s; DELETE FROM item; ROLLBACK TO s; UPDATE item SET a = 3 WHERE a = 2; COMMIT
BEGIN; DELETE FROM item WHERE a = 1; INSERT INTO item VALUES (1, 'x', true, NULL), (1, 'y', true, 'again'); COMMIT
