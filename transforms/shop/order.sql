/* pgspine
topic = "shop.order.v1"
key   = ["order_id"]
doc   = "An order that has been placed, as other teams see it"
owner = "shop"
*/
SELECT
  o.id                                          AS order_id,
  o.customer_id,
  upper(o.status)                               AS status,
  o.total,
  o.currency,
  coalesce(nullif(btrim(o.note), ''), '')       AS note,
  jsonb_build_object(
    'city',    o.ship_city,
    'country', upper(o.ship_country)
  )                                             AS shipping,
  o.placed_at,
  o.total >= 100                                AS free_shipping
FROM shop.orders AS o
WHERE o.status <> 'draft';
