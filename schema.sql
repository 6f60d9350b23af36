-- pgspine server=15.18 collate=C.UTF-8 provider=libc
-- Written by `pgspine schema pull`: the tables and types that transforms use.

CREATE SCHEMA "shop";

CREATE TYPE "shop"."category" AS ENUM ('books', 'tools', 'toys', 'food');

CREATE TABLE "shop"."customers" (
    "id" bigint NOT NULL,
    "full_name" text NOT NULL,
    "email" text,
    "points" integer NOT NULL,
    "created_at" timestamp with time zone NOT NULL,
    "closed_at" timestamp with time zone,
    CONSTRAINT "customers_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "shop"."order_events" (
    "id" uuid NOT NULL,
    "order_id" bigint NOT NULL,
    "event" text NOT NULL,
    "detail" jsonb NOT NULL,
    "created_at" timestamp with time zone NOT NULL,
    CONSTRAINT "order_events_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "shop"."order_lines" (
    "order_id" bigint NOT NULL,
    "line_no" integer NOT NULL,
    "product_id" bigint NOT NULL,
    "qty" integer NOT NULL,
    "unit_price" numeric(10,2) NOT NULL,
    CONSTRAINT "order_lines_pkey" PRIMARY KEY ("order_id", "line_no"),
    CONSTRAINT "order_lines_qty_check" CHECK ((qty > 0))
);

CREATE TABLE "shop"."orders" (
    "id" bigint NOT NULL,
    "customer_id" bigint NOT NULL,
    "status" text NOT NULL,
    "total" numeric(12,2) NOT NULL,
    "currency" text NOT NULL,
    "note" text,
    "ship_city" text,
    "ship_country" text,
    "placed_at" timestamp with time zone NOT NULL,
    "internal" jsonb,
    CONSTRAINT "orders_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "orders_status_check" CHECK ((status = ANY (ARRAY['draft'::text, 'placed'::text, 'paid'::text, 'shipped'::text, 'cancelled'::text])))
);
CREATE INDEX "orders_customer_id_idx" ON "shop"."orders" ("customer_id");

CREATE TABLE "shop"."products" (
    "id" bigint NOT NULL,
    "sku" uuid NOT NULL,
    "title" text NOT NULL,
    "category" "shop"."category" NOT NULL,
    "price" numeric(10,2) NOT NULL,
    "weight_kg" double precision,
    "tags" text[] NOT NULL,
    "attributes" jsonb NOT NULL,
    "available_from" date,
    "discontinued" boolean NOT NULL,
    CONSTRAINT "products_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "products_sku_key" ON "shop"."products" ("sku");
