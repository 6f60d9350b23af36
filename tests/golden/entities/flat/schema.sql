-- pgspine server=15.18 collate=C.UTF-8 provider=libc
CREATE TABLE shop_order (id bigint PRIMARY KEY, status text NOT NULL, qty integer, price numeric, internal text);
