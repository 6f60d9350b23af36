/* pgspine
topic = "shop.product.v1"
key   = ["product_id"]
doc   = "A product that can be ordered, now or soon"
owner = "shop"
*/
SELECT
  p.id                                          AS product_id,
  p.sku,
  initcap(p.title)                              AS title,
  p.category,
  p.price,
  round(p.price * 1.19, 2)                      AS price_with_tax,
  p.weight_kg,
  p.tags,
  p.attributes,
  p.available_from
FROM shop.products AS p
WHERE NOT p.discontinued;
