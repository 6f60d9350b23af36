-- pgspine server=15.18 collate=C.UTF-8 provider=libc
CREATE TABLE seating (guest text PRIMARY KEY, seat integer NOT NULL, since integer, CONSTRAINT seating_seat UNIQUE (seat) DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE seating REPLICA IDENTITY FULL;
