-- pgspine server=15.18 collate=C.UTF-8 provider=libc
CREATE TABLE doc (id integer PRIMARY KEY, n integer, body text);
