-- pgspine server=15.18 collate=C.UTF-8 provider=libc
CREATE TABLE item (a integer NOT NULL, b text NOT NULL, live boolean, note text, PRIMARY KEY (a, b));
