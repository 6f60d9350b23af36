/* pgspine
topic = "shop.order.v1"
key   = ["order_id"]
doc   = "An order that has been placed, with its customer and its lines"
owner = "shop"
*/
SELECT
  o.id                                          AS order_id,
  upper(o.status)                               AS status,
  o.total,
  o.currency,
  coalesce(nullif(btrim(o.note), ''), '')       AS note,
  jsonb_build_object(
    'customer_id', c.id,
    'name',        c.full_name
  )                                             AS customer,
  jsonb_build_object(
    'city',    o.ship_city,
    'country', upper(o.ship_country)
  )                                             AS shipping,
  ARRAY(
    SELECT jsonb_build_object(
      'line_no',    l.line_no,
      'sku',        p.sku,
      'title',      p.title,
      'qty',        l.qty,
      'unit_price', l.unit_price
    )
    FROM shop.order_lines AS l
    JOIN shop.products    AS p ON p.id = l.product_id
    WHERE l.order_id = o.id
    ORDER BY l.line_no
  )                                             AS lines,
  o.placed_at,
  o.total >= 100                                AS free_shipping
FROM shop.orders    AS o
JOIN shop.customers AS c ON c.id = o.customer_id
WHERE o.status <> 'draft';
