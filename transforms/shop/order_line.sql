/* pgspine
topic = "shop.order-line.v1"
key   = ["order_id", "line_no"]
doc   = "One line of an order"
owner = "shop"
*/
SELECT
  l.order_id,
  l.line_no,
  l.product_id,
  l.qty,
  l.unit_price,
  l.qty * l.unit_price                          AS amount
FROM shop.order_lines AS l;
