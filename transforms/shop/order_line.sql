/* pgspine
topic = "shop.order-line.v1"
key   = ["order_id", "line_no"]
doc   = "One line of an order, with its product where there is one"
owner = "shop"
*/
SELECT
  l.order_id,
  l.line_no,
  l.product_id,
  p.title                                       AS product,
  l.qty,
  l.unit_price,
  l.qty * l.unit_price                          AS amount
FROM shop.order_lines AS l
LEFT JOIN shop.products AS p ON p.id = l.product_id;
