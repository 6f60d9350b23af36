-- pgspine server=15.18 collate=C.UTF-8 provider=libc
CREATE TABLE t (id integer PRIMARY KEY, v text);
