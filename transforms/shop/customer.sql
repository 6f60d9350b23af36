/* pgspine
topic = "shop.customer.v1"
key   = ["customer_id"]
doc   = "A customer who has not closed the account, and what they have bought"
owner = "shop"
*/
SELECT
  c.id                                              AS customer_id,
  c.full_name                                       AS name,
  lower(c.email)                                    AS email,
  CASE WHEN c.points >= 1000 THEN 'gold'
       WHEN c.points >= 100  THEN 'silver'
       ELSE 'bronze' END                            AS tier,
  (SELECT count(*) FROM shop.orders AS o
    WHERE o.customer_id = c.id AND o.status <> 'draft') AS orders,
  (SELECT coalesce(sum(o.total), 0)::numeric(14, 2) FROM shop.orders AS o
    WHERE o.customer_id = c.id AND o.status IN ('paid', 'shipped')) AS spent,
  (SELECT max(o.placed_at) FROM shop.orders AS o
    WHERE o.customer_id = c.id AND o.status <> 'draft') AS last_order_at,
  c.created_at
FROM shop.customers AS c
WHERE c.closed_at IS NULL;
